"""The page and the command line of a saga that waits for a callback."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from app import create_app
from app.access.permissions import Role
from app.access.principal import user
from app.config import from_environment
from app.errors import ConflictError
from app.services import services
from app.store.database import db
from app.store.models import ArrivalRow, SagaRow
from tests.integration.admin.conftest import SETTINGS, seen
from tests.support.applications import opened
from tests.support.scripted_server import ScriptedServer, http

#: Folder of a table with a step that is answered later.
SAGAS = Path(__file__).parents[2] / "support" / "later_sagas"


@pytest.fixture
def bank() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    server.answers += [http(b"{}", "202 Accepted")]
    yield server
    server.close()


@pytest.fixture
def client(store_url: str, bank: ScriptedServer, monkeypatch) -> Iterator[FlaskClient]:
    """Return a client that is signed in as operator, of a service whose participant answers later."""
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.OPERATOR))
    settings = SETTINGS | {"SAGAS": str(SAGAS), "PUBLIC_URL": "https://sagas.example", "PARTICIPANT_BANK_URL": bank.url}
    app = create_app(from_environment({"DATABASE_URL": store_url, **settings}))
    with opened(app):
        yield app.test_client()


@pytest.fixture
def page(client: FlaskClient) -> str:
    """Return the path of the page of a saga that waits for a callback."""
    started = services().sagas.start("sale", {"customer": "Ada"}, wait_s=5)
    assert started.state == "AWAITING_PAY"
    return f"/admin/sagas/{started.id}"


def test_the_page_says_what_is_waited_for_and_until_when(client, page):
    words = seen(client.get(page))
    assert "Waiting at pay: callback, 1 h at most." in words
    assert "Waits until in" in words
    assert "Send the signal" not in words


def test_the_page_does_not_know_whether_the_step_took_effect(client, page):
    assert "unknown" in seen(client.get(page))


def test_the_page_shows_no_url_by_which_the_step_could_be_answered(client, page, bank):
    token = bank.headers()["saga-reply-to"].rpartition("/")[2]
    text = client.get(page).text
    assert token not in text
    assert "***" in text


def test_the_command_line_says_what_is_waited_for(client, page):
    saga_id = page.rpartition("/")[2]
    shown = client.application.test_cli_runner().invoke(args=["saga", "show", saga_id])
    assert "waits for: callback, 1 h at most" in shown.output


def test_compensate_is_not_offered_when_the_participant_has_answered_that_it_is_done(client, page):
    saga_id = UUID(page.rpartition("/")[2])
    values = {"state": "STUCK_PAY", "status": "stuck", "arrived": 1, "owner": None, "due_at": None}
    db.session.execute(update(SagaRow).where(SagaRow.id == saga_id).values(values))
    db.session.commit()
    form = '<input type="hidden" name="action" value="compensate">'
    body = {"outcome": "succeeded", "status": 200, "reply": None, "reason": "200"}
    answer = {"saga_id": saga_id, "name": "reply:pay", "body": body, "sender": "participant:bank"}
    without = client.get(page).text
    db.session.add(ArrivalRow(**answer, at=datetime(2026, 1, 1, tzinfo=UTC)))
    db.session.commit()
    answered = client.get(page)
    assert (form in without, form in answered.text) == (True, False)
    assert "Not now: the participant has answered that the step pay is done; retry the step" in seen(answered)
    with pytest.raises(ConflictError):  # the page offers what the service takes
        services().sagas.compensate(saga_id, "user:ada", "it did not happen")
    shown = client.application.test_cli_runner().invoke(args=["saga", "show", str(saga_id)])
    assert "saga retry" in shown.output
    assert "saga compensate" not in shown.output
