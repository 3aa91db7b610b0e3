"""The preview of an action lists the call that the saga's end will make (`at_end=`)."""

import re
from collections.abc import Iterator
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from app import create_app
from app.access.permissions import Role
from app.access.principal import user
from app.config import from_environment
from app.services import services
from app.store.database import db
from app.store.instance import Instance
from app.store.sagas import SagaStore
from app.store.statements import Connections
from machines import Saga, compensatable, pivot, post, secret, text
from machines.registry import Registry
from tests.integration.admin.conftest import SETTINGS, seen
from tests.support.applications import opened
from tests.support.moves import move

TICKET = Saga(
    name="ticket", version=1, initial="ASKED", completed="SOLD", compensated="NOT_SOLD",
    data={"who": text(), "card": secret(text())}, participants=("hall", "till", "crm"),
    steps=(
        compensatable("hold", post("hall", "/seats", who="who"), undo=post("hall", "/undo"), done="HELD",
                      refused="FULL"),
        pivot("sell", post("till", "/tickets", who="who"), done="SOLD", refused="POOR"),
    ),
    at_end={"NOT_SOLD": post("crm", "/called-off/{saga.id}", who="who", card="card")},
)  # fmt: skip


@pytest.fixture
def client(store_url: str, monkeypatch) -> Iterator[FlaskClient]:
    """Return a client that is signed in as operator, of a service with a table that makes a call at one end."""
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.OPERATOR))
    monkeypatch.setattr("app.access.authorization._check_session", lambda: None)
    monkeypatch.setattr("app.access.authorization._check_form", lambda _largest: None)
    app = create_app(from_environment({"DATABASE_URL": store_url, **SETTINGS}), Registry([TICKET]))
    with opened(app):
        yield app.test_client()


@pytest.fixture
def stuck(client: FlaskClient) -> UUID:
    """Return the id of a saga that is stuck in its pivot."""
    registry = services().registry
    saga = Instance.new(registry.latest("ticket"), {"who": "Ada", "card": "4242"}, actor="test")
    store = SagaStore(Connections(db.engine), registry, "test")
    store.insert(saga, None, owner=None)
    for outcome in ("succeeded", "exhausted"):
        move(saga, outcome, reason="no answer", reply={}, duration_ms=5.0)
        store.save(saga, None, owner=None)
    return saga.id


def plans(page: str) -> dict[str, str]:
    """Return what each action on a page would do, by the title of the action."""
    found = re.findall(
        r'<details class="action".*?<b>(.*?)</b>(.*?)</details>\s*(?=<details class="action"|</section)',
        page,
        re.DOTALL,
    )
    return {title: re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", rest)) for title, rest in found}


def test_page_lists_the_call_of_the_end_after_the_undos(client, stuck):
    words = plans(client.get(f"/admin/sagas/{stuck}").text)
    compensated = words["Compensate"]
    assert re.search(
        rf"undo hold at hall .*after the end at crm until it is delivered POST /called-off/{stuck}", compensated
    )
    assert '"card": "***"' in compensated.replace("&#34;", '"')
    assert "after the end" not in words["Retry now"], "the completed end makes no call"


def test_dry_run_of_a_group_lists_the_call_of_the_end(client, stuck):
    group = re.search(r'href="(/admin/stuck/group[^"]*)"', client.get("/admin/stuck").text)
    answer = client.get(group[1].replace("&amp;", "&"))
    assert f"POST crm/called-off/{stuck}" in seen(answer)
