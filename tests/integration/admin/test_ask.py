"""A person asks the participant of a stuck step, or of an unknown effect: only the probe is sent."""

import json
import re

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy import update

from app import create_app
from app.access.permissions import Role
from app.access.principal import user
from app.config import from_environment
from app.engine import questions
from app.store import audit
from app.store.database import db
from app.store.instance import Instance
from app.store.models import SagaRow
from app.store.sagas import SagaStore
from app.store.statements import Connections
from app.views.questions import advised
from machines import Saga, get, pivot, post, secret, text
from machines.checkout import CHECKOUT
from machines.discovery import discover
from machines.outcomes import Outcome
from machines.registry import Registry
from tests.integration.admin.conftest import SETTINGS, seen
from tests.support.applications import opened
from tests.support.moves import move
from tests.support.scripted_server import ScriptedServer, http

STUCK = ("succeeded", "succeeded", "succeeded", "exhausted")
GIVEN_UP = (*STUCK, "compensate", "succeeded", "succeeded")
SALE = next(step for step in CHECKOUT.steps if step.name == "enregistrer_vente")


@pytest.fixture
def sales():
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def client(store_url, sales, monkeypatch):
    """Return a client that is signed in as operator, of a service whose participant `ventes` answers."""
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.OPERATOR))
    monkeypatch.setattr("app.access.authorization._check_session", lambda: None)
    monkeypatch.setattr("app.access.authorization._check_form", lambda _largest: None)
    settings = SETTINGS | {"DATABASE_URL": store_url, "PARTICIPANT_VENTES_URL": sales.url}
    app = create_app(from_environment(settings))
    with opened(app):
        yield app.test_client()


def row(saga):
    db.session.rollback()
    found = db.session.get(SagaRow, saga.id)
    return found.state, found.version, found.owner, found.due_at


def asked(client, saga):
    before = row(saga)
    answer = client.post(f"/admin/sagas/{saga.id}/ask")
    assert row(saga) == before, "the saga does not move"
    return answer


RETRY = "Retry now recommended"
ANSWERS = [
    (http(b'{"vente_id": "sale-17"}'), ("a retry takes this answer and goes on", RETRY)),
    (http(b'{"error": "no such sale"}', "404 Not Found"), ("a retry sends it again with the same key", RETRY)),
    (http(b"", "500 Internal Server Error"), ("ventes gives no clear answer", "")),
]


@pytest.mark.parametrize(("reply", "expected"), ANSWERS, ids=["done", "not done", "no answer"])
def test_answer_and_one_recommended_action_are_shown(client, walk, sales, reply, expected):
    saga, (advice, recommended) = walk(*STUCK), expected
    page = client.get(f"/admin/sagas/{saga.id}")
    assert "Ask ventes now" in seen(page)
    failing = [seen(page).count(words) for words in ("If the call is refused", "If its outcome stays in doubt")]
    assert failing == [3, 3], "each line once an action"
    assert not sales.received, "a GET asks nobody"
    sales.answers += [reply]
    answer = asked(client, saga)
    assert answer.status_code == 200
    assert ('It answered: { "vente_id": "sale-17" }' in seen(answer)) == (reply is DONE), "the body is shown once"
    assert [each.partition(b" HTTP")[0] for each in sales.received] == [b"GET /ventes/outcome"]
    assert sales.headers()["idempotency-key"] == f"{saga.id}/enregistrer_vente/do"
    for words in (seen(answer), seen(client.get(f"/admin/sagas/{saga.id}"))):
        assert "ventes was asked about Record the sale enregistrer" in words
        assert advice in words
        assert words.count("recommended") == bool(recommended)
        assert recommended in words
    record = audit.page(db.engine, limit=1, saga_id=saga.id)[0]
    assert (record.action, record.actor, record.after["step"]) == ("saga.asked", "user:ada", "enregistrer_vente")


def test_answer_is_not_shown_after_the_saga_has_moved(client, walk, sales):
    saga = walk(*STUCK)
    sales.answers += [http(b"", "500 Internal Server Error")]
    asked(client, saga)
    db.session.execute(update(SagaRow).values(version=SagaRow.version + 1))
    db.session.commit()
    assert "was asked about" not in seen(client.get(f"/admin/sagas/{saga.id}"))


DONE, NOT_DONE, NO_ANSWER = (reply for reply, _ in ANSWERS)
HAPPENED = r"ventes answered at [-0-9]+ [:0-9]+ UTC that it has happened"
HAD_NOT = r"ventes answered at [-0-9]+ [:0-9]+ UTC that it had not happened"


def everywhere(client, saga):
    """Return what the page, its Markdown, the API and the command line say of a saga."""
    page = client.get(f"/admin/sagas/{saga.id}")
    found = client.get(f"/api/v1/sagas/{saga.id}/effects").json
    sale = next(each for each in found["effects"] if each["step"] == "enregistrer_vente")
    markdown = re.search(r'<textarea id="ticket".*?>(.*?)</textarea>', page.get_data(as_text=True), re.DOTALL)[1]
    shown = command(client, "show", str(saga.id)).output
    return [
        seen(page),
        markdown.replace("\\", ""),
        f"{found['summary']} {sale['description']}",
        re.sub(r"\s+", " ", shown),
    ], sale


def go_on(saga, *triggers):
    store = SagaStore(Connections(db.engine), discover(), "test")
    for trigger in triggers:
        move(saga, trigger, reply={}, duration_ms=5.0)
        store.save(saga, None, owner=None)
    db.session.rollback()


@pytest.mark.parametrize(
    ("replies", "stuck", "ended", "effect"),
    [
        ([DONE], HAPPENED, rf"\(enregistrer_vente\) took effect and is not undone: {HAPPENED}", "took effect"),
        ([NOT_DONE], HAD_NOT, rf"is still unknown: {HAD_NOT}, but a call may have arrived later", "unknown"),
        ([DONE, NO_ANSWER], HAPPENED, HAPPENED, "took effect"),
        ([DONE, NOT_DONE], HAD_NOT, HAD_NOT, "unknown"),
        ([NO_ANSWER], "Check at ventes whether it happened", "gave no clear answer", "unknown"),
    ],
    ids=["done", "not done", "done, then no answer", "done, then undone by others", "no answer"],
)
def test_answer_is_kept_and_said_everywhere(client, walk, sales, replies, stuck, ended, effect):  # noqa: PLR0917
    saga = walk(*STUCK)
    sales.answers += replies
    for _ in replies:
        asked(client, saga)
    texts, sale = everywhere(client, saga)
    assert not [text for text in texts if not re.search(stuck, text)]
    page = client.get(f"/admin/sagas/{saga.id}").text
    then = re.search(r'aria-label="Effects now".*?</ul>', page, re.DOTALL)[0]
    by_it = "" if stuck in (HAPPENED, HAD_NOT) else "by this entry "
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", then))
    assert f"Record the sale {effect} {by_it}Confirm" in words, "as in the list of effects"
    assert "which answered: probe" not in texts[1]
    page = seen(client.get(f"/admin/sagas/{saga.id}"))
    warning = {
        "took effect": "Nothing undoes Record the sale (enregistrer_vente), so it stays.",
        "unknown": "A call may have arrived later.",
    }
    assert (warning[effect] in page) == (stuck in (HAPPENED, HAD_NOT))
    go_on(saga, *GIVEN_UP[len(STUCK) :])
    texts, sale = everywhere(client, saga)
    assert not [text for text in texts if not re.search(ended, text)]
    assert (sale["effect"], sale["happened"]) == (effect, {HAPPENED: True, HAD_NOT: False}.get(stuck))
    assert client.get("/api/v1/sagas?still_unknown=true").json["pagination"]["total"] == 1


def test_saga_that_moves_while_its_participant_is_asked_gets_no_advice(client, walk, sales, monkeypatch):
    saga = walk(*STUCK)
    sales.answers += [http(b'{"vente_id": "sale-17"}')]
    keep = questions.record

    def moves(*arguments):
        keep(*arguments)
        db.session.execute(update(SagaRow).values(version=SagaRow.version + 1))
        db.session.commit()

    monkeypatch.setattr(questions, "record", moves)
    answer = client.post(f"/admin/sagas/{saga.id}/ask")
    assert answer.status_code == 409
    assert "has moved while its participant was asked" in seen(answer)
    assert "was asked about" not in seen(answer)


@pytest.mark.parametrize(
    ("outcomes", "owner", "words"),
    [
        (STUCK[:3], None, "there is nothing to ask: the saga is running"),
        ((*STUCK[:3], "refused", "exhausted"), None, "there is nothing to ask: the saga is stuck"),
        (STUCK, "other:1", "the engine runs the saga"),
    ],
    ids=["running", "stuck in an undo", "held"],
)
def test_nobody_is_asked_about_a_saga_that_the_engine_runs(walk, sales, client, outcomes, owner, words):  # noqa: PLR0917
    saga = walk(*outcomes)
    db.session.execute(update(SagaRow).values(owner=owner))
    db.session.commit()
    answer = asked(client, saga)
    assert (answer.status_code, sales.received) == (409, [])
    assert words in seen(answer)


def test_participant_of_an_unknown_effect_can_still_be_asked(client, walk, sales):
    saga = walk(*GIVEN_UP)
    sales.answers += [http(b'{"error": "no such sale"}', "404 Not Found")]
    words = seen(asked(client, saga))
    assert (
        "ventes does not have Record the sale (enregistrer_vente). If no call can still be on its way, record that."
        in words
    )


def test_viewer_sees_the_answer_and_asks_nobody(client, walk, sales, monkeypatch):
    saga = walk(*STUCK)
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("eve", Role.VIEWER))
    assert client.post(f"/admin/sagas/{saga.id}/ask").status_code == 403
    assert "Ask ventes now" not in seen(client.get(f"/admin/sagas/{saga.id}"))
    assert not sales.received


def test_every_outcome_of_a_probe_has_an_advice():
    for outcome in (Outcome.SUCCEEDED, Outcome.REFUSED, Outcome.IN_DOUBT, Outcome.NOT_SENT):
        for ended in (True, False):
            action, words = advised(CHECKOUT, SALE, outcome, ended=ended)
            assert words
            assert not (ended and action), "an ended saga takes no action"


def command(client, *arguments):
    return FlaskCliRunner(client.application).invoke(args=["saga", *arguments])


def test_command_names_the_step_and_the_participant_by_their_titles(client, walk, sales, titled):
    sales.answers += [http(b'{"vente_id": "sale-17"}')]
    done = command(client, "ask", str(walk(*STUCK).id)).stdout
    assert "The sales desk (ventes) was asked about Record the sale (enregistrer_vente): succeeded." in done


@pytest.mark.parametrize("way", ["API", "command line"])
def test_programs_ask_and_record_what_was_found_as_the_page_does(client, walk, sales, way):
    stuck, ended = walk(*STUCK), walk(*GIVEN_UP)
    before = row(stuck)
    sales.answers += [http(b'{"vente_id": "sale-17"}')]
    if way == "API":
        answer = client.post(f"/api/v1/sagas/{stuck.id}/ask").json
        checked = client.post(f"/api/v1/sagas/{ended.id}/checked", json={"found": "not_happened", "reason": "looked"})
        assert checked.status_code == 200
        assert client.post(f"/api/v1/sagas/{stuck.id}/checked", json={"found": "x", "reason": "y"}).status_code == 400
        again = client.post(f"/api/v1/sagas/{stuck.id}/checked", json={"found": "happened", "reason": "y"}).status_code
        assert again == 409
    else:
        answer = json.loads(command(client, "ask", str(stuck.id), "--json").stdout)
        done = command(client, "checked", str(ended.id), "--found", "not_happened", "--reason", "looked")
        assert done.output == "Recorded: it did not happen.\n"
        assert command(client, "checked", str(stuck.id), "--found", "happened", "--reason", "y").exit_code == 7
    assert answer["reply"] == {"vente_id": "sale-17"}
    assert (answer["step"], answer["outcome"], answer["action"]) == ("enregistrer_vente", "succeeded", "retry")
    assert (row(stuck), len(sales.received)) == (before, 1)
    assert client.get("/api/v1/sagas?still_unknown=true").json["pagination"]["total"] == 0
    nothing = client.post(f"/api/v1/sagas/{walk('succeeded').id}/ask")
    assert (nothing.status_code, len(sales.received)) == (409, 1)


def test_answer_is_shown_without_the_secrets_of_the_table(store_url, sales, monkeypatch):
    pay = post("bank", "/pay", card="card", keeps={"seat": secret(text()), "note": text()})
    table = Saga(
        name="sale", version=1, initial="NEW", completed="PAID", compensated="OFF", participants=("bank",),
        data={"card": secret(text())},
        steps=(pivot("pay", pay, probe=get("bank", "/paid"), done="PAID", refused="NOT_PAID"),),
    )  # fmt: skip
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.OPERATOR))
    monkeypatch.setattr("app.access.authorization._check_form", lambda _largest: None)
    settings = SETTINGS | {"DATABASE_URL": store_url, "PARTICIPANT_BANK_URL": sales.url}
    with opened(create_app(from_environment(settings), Registry([table]))) as app:
        saga = Instance.new(table, {"card": "4111-1111"}, actor="test")
        store = SagaStore(Connections(db.engine), Registry([table]), "test")
        store.insert(saga, None, owner=None)
        move(saga, "exhausted")
        store.save(saga, None, owner=None)
        sales.answers += [http(b'{"seat": "t0p", "note": "card 4111-1111", "by": "eve"}')]
        reply = app.test_client().post(f"/api/v1/sagas/{saga.id}/ask").json["reply"]
    assert "t0p" not in str(reply)
    assert "4111" not in str(reply)
    assert reply["seat"] == "***"
