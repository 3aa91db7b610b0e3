"""All lists of sagas have the same filter words: API, command line, pages and client, as docs/tables.md says."""

import inspect
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click
import pytest
from flask.testing import FlaskCliRunner
from saga_client import AsyncSagas, InvalidData, SagaFilters, Sagas, SagaType, Status
from sqlalchemy import update

from app import create_app
from app.access.permissions import Role
from app.access.principal import user
from app.admin import forms
from app.api import list_query
from app.cli import saga as commands
from app.config import from_environment
from app.store.database import db
from app.store.models import JournalRow, SagaRow
from app.views.saga_filters import AttentionWords
from machines import Saga, integer, pivot, post, text
from machines.registry import Registry
from tests.integration.client.conftest import listen
from tests.support.applications import opened
from tests.support.servers import OPEN

ROOT = Path(__file__).parents[2]
#: Words of one list that choose no sagas: pages, order, form.
NO_FILTERS = {"sort", "limit", "offset", "cursor", "after", "json", "column"}
#: Words of the list of the pages, with which its links from other pages show the sagas that those count.
OF_LINKS = {"children", "backs_off"}
#: Words of the lists of sagas that need attention: they name a group of them, those of a person, or single ones.
OF_ATTENTION = {"step", "error", "cause", "case", "id", "job"}
WORDS = {
    "type", "status", "state", "stuck", "client", "store", "order", "tag", "created_from", "created_to", "parent",
    "unknown", "still_unknown", "waiting_for", "q", "version", "participant", "error_contains", "slower_than",
    "tenant",
    "entered_from",
    "stuck_from",
}  # fmt: skip
PARCEL = Saga(
    name="parcel", version=1, initial="ASKED", completed="SENT", compensated="NOT_SENT",
    data={"customer": text(), "shop": text(), "ref": integer()}, client="customer", store="shop", order="ref",
    tags=("customer", "ref"), participants=("carrier",),
    steps=(pivot("send", post("carrier", "/parcels"), done="SENT", refused="NO_CARRIER"),),
)  # fmt: skip
VISIT = Saga(
    name="visit", version=1, initial="ASKED", completed="SEEN", compensated="OFF", data={"ref": integer()},
    participants=("carrier",),
    steps=(pivot("see", post("carrier", "/visits"), done="SEEN", refused="NO"),),
)  # fmt: skip


def names(schema):
    return {field.data_key or name for name, field in schema().fields.items()}


def of_the_command_line(*path):
    command = commands
    for name in path:
        command = command.commands[name]
    options = {option for each in command.params if isinstance(each, click.Option) for option in each.opts}
    return {option.removeprefix("--").replace("-", "_") for option in options}


LISTS = {
    "API": lambda: names(list_query.ListQuery),
    "command line": lambda: of_the_command_line("list"),
    "/admin/sagas": lambda: names(forms.ListQuery),
    "client": lambda: set(SagaFilters.__annotations__),
}


@pytest.mark.parametrize("place", LISTS)
def test_list_has_the_filter_words_of_all_lists(place):
    assert LISTS[place]() - NO_FILTERS - OF_LINKS == WORDS


#: The options of `bulk start` that choose no sagas.
OF_START = {"pace", "dry_run", "reason", "actor"}
ATTENTION = {
    "API": lambda: names(AttentionWords),
    "page": lambda: names(forms.StuckQuery) - {"ticked"},
    "saga stuck": lambda: of_the_command_line("stuck"),
    "saga bulk start": lambda: of_the_command_line("bulk", "start") - OF_START,
}


@pytest.mark.parametrize("place", ATTENTION)
def test_list_of_sagas_that_need_attention_has_the_same_words_everywhere(place):
    assert ATTENTION[place]() - NO_FILTERS == WORDS - {"stuck"} | OF_ATTENTION


def test_both_clients_take_the_same_filters():
    assert str(inspect.signature(Sagas.list)) == str(inspect.signature(AsyncSagas.list))


def test_manual_has_a_line_for_each_word():
    section = (ROOT / "docs" / "tables.md").read_text().partition("### Find sagas again\n")[2].partition("\n## ")[0]
    lines = "\n".join(re.findall(r"^\| (`.*?) \|", section, re.MULTILINE))
    assert {word for word in WORDS if f"`{word}" in lines} == WORDS
    assert {word for word in WORDS if f"--{word.replace('_', '-')}" in lines} == WORDS


@pytest.fixture
def app(store_url, monkeypatch):
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.VIEWER))
    monkeypatch.setattr("app.access.authorization._check_session", lambda: None)
    app = create_app(from_environment(OPEN | {"DATABASE_URL": store_url}), Registry([PARCEL, VISIT]))
    with opened(app):
        yield app


@pytest.fixture
def made(app):
    """Store seven sagas that differ in every word. Return the id of each by its name."""

    def draft(kind, **data):
        answer = app.test_client().post("/api/v1/sagas", json={"type": kind, "data": data})
        return UUID(answer.json["saga"]["id"])

    ids = {
        "old": draft("parcel", customer="Ada", shop="north", ref=1),
        "stuck": draft("parcel", customer="Eve", shop="south", ref=2),
        "child": draft("parcel", customer="Kim", shop="west", ref=3),
        "visit": draft("visit", ref=9),
        "unknown": draft("visit", ref=8),
        "given_up": draft("visit", ref=7),
        "waiting": draft("visit", ref=6),
    }
    changes = {
        "old": {"created_at": datetime(2020, 1, 1, tzinfo=UTC)},
        "stuck": {"status": "stuck", "state": "STUCK_SEND", "error": "STUCK_SEND: send: 409 no room"},
        "child": {"parent_id": ids["old"], "parent_step": "send", "child_number": 1},
        "unknown": {"definition_version": 7},
        "visit": {"tenant": "acme"},
        "given_up": {
            "status": "compensated",
            "state": "OFF",
            "created_at": datetime(2020, 2, 1, tzinfo=UTC),
            "entered_at": datetime(2020, 2, 1, tzinfo=UTC),
        },
    }
    backs_off = {"status": "running", "attempt": 2, "due_at": datetime(2030, 1, 1, tzinfo=UTC)}
    changes["waiting"] = backs_off | {"created_at": datetime(2020, 3, 1, tzinfo=UTC)}
    for name, values in changes.items():
        db.session.execute(update(SagaRow).where(SagaRow.id == ids[name]).values(values))
    given_up = {"source": "STUCK_SEE", "trigger": "compensate", "dest": "OFF", "actor": "user:ada"}
    got_stuck = {"source": "ASKED", "trigger": "quarantine", "dest": "STUCK_SEE", "actor": "engine@web"}
    db.session.add(JournalRow(saga_id=ids["given_up"], seq=9, at=datetime(2020, 2, 1, tzinfo=UTC), **given_up))
    db.session.add(JournalRow(saga_id=ids["visit"], seq=9, at=datetime(2020, 7, 1, tzinfo=UTC), **got_stuck))
    db.session.commit()
    return ids


MIDDLE = "2020-06-01T00:00:00+00:00"
#: Word, its value in a query string and as the client takes it, and the sagas that it finds.
FOUND = [
    ("type", "parcel", SagaType("parcel"), {"old", "stuck"}),
    ("status", "pending", Status.PENDING, {"old", "visit", "unknown"}),
    ("state", "STUCK_SEND", "STUCK_SEND", {"stuck"}),
    ("stuck", "true", True, {"stuck"}),
    ("client", "Ada", "Ada", {"old"}),
    ("store", "south", "south", {"stuck"}),
    ("order", "2", "2", {"stuck"}),
    ("tag", "customer:Eve", {"customer": "Eve"}, {"stuck"}),
    ("created_to", MIDDLE, datetime.fromisoformat(MIDDLE), {"old", "given_up", "waiting"}),
    ("created_from", MIDDLE, datetime.fromisoformat(MIDDLE), {"stuck", "visit", "unknown"}),
    ("entered_from", MIDDLE, datetime.fromisoformat(MIDDLE), {"old", "stuck", "visit", "unknown", "waiting"}),
    ("stuck_from", MIDDLE, datetime.fromisoformat(MIDDLE), {"visit"}),
    ("parent", "", "", {"child"}),
    ("unknown", "true", True, {"unknown"}),
    ("still_unknown", "true", True, {"given_up"}),
    ("waiting_for", "carrier", "carrier", {"waiting"}),
    ("q", "ev", "ev", {"stuck"}),
    ("version", "7", 7, {"unknown"}),
    ("participant", "carrier", "carrier", {"old", "visit", "stuck", "waiting"}),
    ("error_contains", "NO ROOM", "NO ROOM", {"stuck"}),
    ("tenant", "acme", "acme", {"visit"}),
    ("slower_than", "86400", 86_400.0, {"old", "given_up", "waiting"}),
]


def test_each_word_is_tried():
    assert {word for word, *_ in FOUND} == WORDS


@pytest.mark.parametrize("found", FOUND, ids=[word for word, *_ in FOUND])
def test_word_finds_the_same_sagas_in_every_list(app, made, found):
    word, text, value, expected = found
    if word == "parent":
        text, value = str(made["old"]), made["old"]
    client = app.test_client()
    by_id = {str(saga_id): name for name, saga_id in made.items()}
    api = client.get("/api/v1/sagas", query_string={word: text}).json["sagas"]
    page = client.get("/admin/sagas", query_string={word: text}).text
    option = [f"--{word.replace('_', '-')}", *([] if text == "true" else [text.replace("customer:", "customer=")])]
    lines = FlaskCliRunner(app).invoke(args=["saga", "list", "--json", *option]).stdout.splitlines()
    server = listen(app)
    with Sagas(f"http://127.0.0.1:{server.server_port}") as sagas:
        typed = sagas.list(**{word: value})
    server.shutdown()
    server.server_close()
    assert {by_id[each["id"]] for each in api} == expected
    assert {by_id[each] for each in re.findall(r'href="/admin/sagas/([0-9a-f-]{36})"', page)} == expected
    assert {by_id[json.loads(line)["id"]] for line in lines} == expected
    assert ({by_id[str(saga.id)] for saga in typed.sagas}, typed.total) == (expected, len(expected))
    shown = client.get("/admin/sagas").text
    assert f'name="{word}"' in shown or word == "stuck", "the form of the page has the word"


def test_page_of_the_client_leads_to_the_next_one(app, made):
    server = listen(app)
    with Sagas(f"http://127.0.0.1:{server.server_port}") as sagas:
        first = sagas.list(type="visit", limit=1)
        second = sagas.list(type="visit", limit=1, after=first.next)
        with pytest.raises(InvalidData) as refused:
            sagas.list(tag={"nobody": 1})
        with pytest.raises(InvalidData, match="the time has no time zone"):
            sagas.list(created_to=datetime(2020, 1, 1))  # noqa: DTZ001
    server.shutdown()
    server.server_close()
    assert {saga.id for page in (first, second) for saga in page.sagas} == {made["visit"], made["unknown"]}
    assert (first.total, first.next is None) == (4, False)
    assert [wrong.pointer for wrong in refused.value.errors] == ["/tag/0"]
