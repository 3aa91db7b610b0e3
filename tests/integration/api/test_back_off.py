"""A saga that backs off: it says so in the API, on the pages and on the command line; *send now*."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from app.access.permissions import Role
from app.access.principal import user
from app.services import services
from app.store import queries
from app.store.access_models import AuditRow
from app.store.database import db
from app.store.models import SagaRow
from machines.secrets import SecretFields
from tests.support.waiting import eventually

DATA = {"client_id": 4, "magasin_id": 1}


@pytest.fixture
def waiting(client: Any) -> str:
    """Return the id of a checkout that backs off, because no participant is reachable."""
    sagas = services().sagas
    sagas.max_sleep_s = 0  # each wait is in the database, and no recovery thread runs here
    saga_id = sagas.start("checkout", DATA, wait_s=0.01).id
    eventually(lambda: queries.find(saga_id).owner is None or db.session.rollback(), "the saga is released")
    return str(saga_id)


def tries(client: Any, saga_id: str) -> int:
    return sum(row["trigger"] == "defer" for row in client.get(f"/api/v1/sagas/{saga_id}").json["journal"])


def test_the_next_attempt_is_made_at_once(client, waiting):
    before = tries(client, waiting)
    answer = client.post(
        f"/api/v1/sagas/{waiting}/send-now", json={"reason": "it is back"}, headers={"Prefer": "wait=0.2"}
    )
    assert (answer.status_code, answer.json["message"]) == (202, "Saga still running")
    assert answer.headers["Location"] == f"/api/v1/sagas/{waiting}"
    assert tries(client, waiting) > before
    (row,) = db.session.query(AuditRow).all()
    assert (row.action, row.reason) == ("saga.send_now", "it is back")


def test_a_saga_that_backs_off_says_so_in_the_api(client, waiting):
    subject = "panier (no connection could be made: 127.0.0.1:9 refused the connection)"
    whole = client.get(f"/api/v1/sagas/{waiting}").json
    (line,) = client.get("/api/v1/sagas").json["sagas"]
    for saga in (whole, line):
        assert (saga["status"], saga["waiting_for"]) == ("in_progress", subject)
        assert saga["waiting_until"] > saga["updated_at"]


def test_a_saga_that_backs_off_says_so_on_its_page_and_in_the_list(client, waiting, monkeypatch):
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.VIEWER))
    db.session.execute(update(SagaRow).values(due_at=datetime.now(UTC) + timedelta(seconds=7_170)))
    db.session.commit()
    monkeypatch.setenv("COLUMNS", "200")
    why = r"no connection could be made: 127\.0\.0\.1:9 refused the connection"
    next_try, run = ", next try in 1 h 59 min", client.application.test_cli_runner().invoke
    assert re.search(rf"Waiting for panier \({why}\){next_try}\.", client.get(f"/admin/sagas/{waiting}").text)
    for text in (client.get("/admin/sagas").text, run(args=["saga", "list"]).output):
        assert re.search(rf"waiting for panier.*{why}{next_try}", text, re.DOTALL)


def test_a_list_without_sagas_that_back_off_reads_no_journal(client, monkeypatch):
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.VIEWER))
    client.post("/api/v1/sagas", json={"type": "checkout", "data": DATA})
    whole = queries.journals

    def only_moves(ids, *, replies_of=None, moves_of=None):  # the column of the amounts needs the moves of a few steps
        return whole(ids, replies_of, moves_of) if moves_of else pytest.fail("a whole journal was read")

    monkeypatch.setattr("app.store.queries.journals", only_moves)
    assert client.get("/admin/sagas").status_code == 200


def test_a_saga_that_nothing_can_be_sent_for_is_refused_with_the_remedy(client):
    created = client.post("/api/v1/sagas", json={"type": "checkout", "data": DATA}).json["saga"]["id"]
    refused = client.post(f"/api/v1/sagas/{created}/send-now")
    assert (refused.status_code, refused.json["detail"]) == (409, "the saga is pending, in INITIEE: execute it")
    assert client.post("/api/v1/sagas/2f1b8c36-3f6c-4f2f-8f52-1b7a2f6f0a55/send-now").status_code == 404
    wrong = client.post(f"/api/v1/sagas/{created}/send-now", json={"reason": ""})
    assert wrong.json["errors"][0]["pointer"] == "/reason"


def test_the_button_on_the_page_sends_now_and_says_so(client, waiting, monkeypatch):
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.OPERATOR))
    monkeypatch.setattr("app.access.authorization._check_session", lambda: None)
    monkeypatch.setattr("app.access.authorization._check_form", lambda _largest: None)
    page = client.get(f"/admin/sagas/{waiting}").text
    assert 'value="send_now"' in page
    before = tries(client, waiting)
    form = {"action": "send_now", "seen": "INITIEE", "reason": "it is back"}
    answer = client.post(f"/admin/sagas/{waiting}", data=form)
    assert answer.status_code == 200
    assert "Done: the next attempt is made; the saga is running, in started (INITIEE)." in answer.text
    assert tries(client, waiting) > before
    (row,) = db.session.query(AuditRow).all()
    assert (row.actor, row.action, row.reason) == ("user:ada", "saga.send_now", "it is back")


def test_the_command_sends_now_and_names_itself_in_the_header_of_the_saga(client, waiting, monkeypatch):
    monkeypatch.setattr("app.cli.arguments.login_name", lambda: "ada")
    shown = client.application.test_cli_runner().invoke(args=["saga", "show", waiting])
    assert f"saga send-now {waiting[-8:]} --reason" in shown.output


def test_a_list_shows_no_reason_of_a_saga_with_secrets(client, waiting, monkeypatch):
    """A list reads no replies, so it cannot know every secret value that a reason may repeat."""
    monkeypatch.setattr("machines.registry.Registry.secrets_of", lambda *_: SecretFields([]))
    (line,) = client.get("/api/v1/sagas").json["sagas"]
    assert line["waiting_for"] == "panier"
