"""What the API, the page and the command line show of a saga that asks for an answer, over real connections."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app import create_app
from app.access.permissions import Role
from app.access.principal import user
from app.config import from_environment
from app.services import services
from app.store.audit import Entry
from app.store.database import db
from tests.integration.admin.conftest import SETTINGS, seen
from tests.support.applications import opened
from tests.support.scripted_server import ScriptedServer, http
from tests.support.waiting import eventually

#: Folder of a table with a step that is polled.
SAGAS = Path(__file__).parents[2] / "support" / "polling_sagas"


@pytest.fixture
def press() -> Iterator[ScriptedServer]:
    """Yield a participant that accepts a job, is at work at the first poll, and prints until the second."""
    server = ScriptedServer()
    place = f"Location: {server.url}/jobs/7?token=t%2F1\r\n"
    # The server decides about an answer when a connection is idle, so the second poll needs a connection of its own.
    queued = http(b'{"status": "queued"}', headers="Connection: close\r\n")
    server.answers += [http(b"{}", "202 Accepted", place), queued]
    yield server
    server.close()


@pytest.fixture
def client(store_url: str, press: ScriptedServer, monkeypatch) -> Iterator[FlaskClient]:
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.OPERATOR))
    settings = SETTINGS | {"SAGAS": str(SAGAS), "PARTICIPANT_PRESS_URL": press.url}
    app = create_app(from_environment({"DATABASE_URL": store_url, **settings}))
    with opened(app):
        yield app.test_client()


@pytest.fixture
def saga_id(client: FlaskClient) -> str:
    """Return the id of a saga whose first poll found that the job is still queued."""
    started = services().sagas.start("printing", {"customer": "Ada"}, wait_s=5)
    assert started.state == "AWAITING_PRINT"
    eventually(lambda: look() == 1, "the first poll is counted")
    return str(started.id)


def look() -> int:
    """Let the process claim what is due. Return the number of polls of the only saga."""
    services().runner.claim_due()
    db.session.rollback()
    return int(db.session.execute(db.text("SELECT deferrals FROM saga")).scalar_one())


def test_the_api_says_what_is_asked_and_how_often_and_until_when(client, saga_id):
    shown = client.get(f"/api/v1/sagas/{saga_id}").json
    assert (shown["status"], shown["waiting_for"]) == ("waiting", "poll every 1 s, 1 h at most")
    assert shown["polls"] == 1
    assert shown["updated_at"] < shown["next_poll_at"] < shown["waiting_until"]
    assert [move["trigger"] for move in shown["journal"]] == ["start", "accepted"]


def test_the_page_says_what_is_asked_and_how_often(client, saga_id):
    words = seen(client.get(f"/admin/sagas/{saga_id}"))
    assert "Waiting at print: poll every 1 s, 1 h at most. It waits until " in words
    assert "UTC; 1 poll so far." in words
    assert "Next poll" in words
    services().pauses.pause("press", Entry(actor="ada", action="participant.pause", target="press", reason="x"))
    words = seen(client.get(f"/admin/sagas/{saga_id}"))
    assert "1 poll so far. press is paused, so no poll is sent until a person resumes it." in words
    assert "Next poll not while press is paused" in words


def test_the_command_line_says_what_is_asked_and_how_often(client, saga_id):
    shown = client.application.test_cli_runner().invoke(args=["saga", "show", saga_id])
    assert "waits for: poll every 1 s, 1 h at most; 1 poll so far" in shown.output


def test_the_answer_is_shown_as_the_poll_that_brought_it(client, saga_id, press):
    press.answers += [http(b'{"status": "done"}'), http(b"{}")]

    def ended() -> bool:
        services().runner.claim_due()
        db.session.rollback()
        return db.session.execute(db.text("SELECT state FROM saga")).scalar_one() == "PAID"

    eventually(ended, "the saga ends")
    asked = [request.partition(b" HTTP")[0] for request in press.received if request.startswith(b"GET")]
    assert asked == [b"GET /jobs/7?token=t%2F1"] * 2
    shown = client.get(f"/api/v1/sagas/{saga_id}").json
    assert (shown["polls"], shown["next_poll_at"], shown["waiting_until"]) == (None, None, None)
    assert "poll 2: 200" in [move["reason"] for move in shown["journal"]]
    assert shown["steps"][0]["attempts"] == 1
    assert "poll of print" in seen(client.get(f"/admin/sagas/{saga_id}"))
    told = client.application.test_cli_runner().invoke(args=["saga", "show", saga_id]).output
    assert "1 call, 2 polls" in told
