"""The form on the page of a waiting saga, which sends the signal that ends the wait."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from app import create_app
from app.access.permissions import Role
from app.access.principal import user
from app.config import from_environment
from app.services import services
from app.store.access_models import AuditRow
from app.store.database import db
from app.store.models import SagaRow
from tests.integration.admin.conftest import SETTINGS, seen
from tests.support.applications import opened

#: Folder of a table whose sagas only wait.
SAGAS = Path(__file__).parents[2] / "support" / "waiting_sagas"


@pytest.fixture
def client(store_url: str, monkeypatch) -> Iterator[FlaskClient]:
    """Return a client that is signed in as operator, of a service with a saga that waits."""
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.OPERATOR))
    monkeypatch.setattr("app.access.authorization._check_session", lambda: None)
    monkeypatch.setattr("app.access.authorization._check_form", lambda _largest: None)
    sagas = str(SAGAS)
    app = create_app(from_environment({"DATABASE_URL": store_url, **SETTINGS, "SAGAS": sagas}))
    with opened(app):
        yield app.test_client()


@pytest.fixture
def page(client: FlaskClient) -> str:
    """Return the path of the page of a waiting saga."""
    started = services().sagas.start("leave", {"person": "Ada", "number": "L-7"}, wait_s=5)
    return f"/admin/sagas/{started.id}"


def test_the_page_says_what_the_saga_waits_for_and_offers_the_signal(client, page):
    words = seen(client.get(page))
    assert "Waiting at agree: signal agree, 1 d at most." in words
    assert "Send the signal agree" in words
    assert 'name="body.approved"' in client.get(page).text


def test_the_form_sends_the_signal_with_typed_values(client, page):
    answer = client.post(f"{page}/signals/agree", data={"body.approved": "true", "body.comment": "12"})
    assert answer.status_code == 200
    assert "the saga went" in seen(answer) or "has left ASKED" in seen(answer)
    answer = client.post(f"{page}/signals/plan", data={"body.days": "3", "body.how": "paid", "body.note": ""})
    assert "it is completed" in seen(answer)
    assert [row.actor for row in db.session.query(AuditRow)] == ["user:ada", "user:ada"]


def test_a_wrong_field_is_named_and_nothing_is_done(client, page):
    answer = client.post(f"{page}/signals/agree", data={"body.approved": "perhaps"})
    assert answer.status_code == 400
    assert "Nothing was done. approved:" in seen(answer)
    assert "Waiting at agree" in seen(answer)


def test_a_second_signal_is_refused_with_the_reason(client, page):
    client.post(f"{page}/signals/agree", data={"body.approved": "true"})
    answer = client.post(f"{page}/signals/agree", data={"body.approved": "false"})
    assert answer.status_code == 409
    assert "user:ada has sent the signal agree before" in seen(answer)


def test_a_viewer_sees_no_form(client, page, monkeypatch):
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("eve", Role.VIEWER))
    assert 'name="body.approved"' not in client.get(page).text
    assert client.post(f"{page}/signals/agree", data={"body.approved": "true"}).status_code == 403


def test_signal_to_a_saga_without_its_table_is_refused_with_the_reason(client, page):
    db.session.execute(update(SagaRow).values(definition_version=77))
    db.session.commit()
    answer = client.post(f"{page}/signals/agree", data={"body.approved": "true"})
    assert answer.status_code == 503
    assert "so no signal can be checked" in seen(answer)
