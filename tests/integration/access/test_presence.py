"""Colleagues on the page of a saga: who sees whom and for how long, and that a page says it without moving the saga."""

import pytest
from sqlalchemy import select, update

from app.access.permissions import Role, Scope
from app.config import Config
from app.services import services
from app.store.access_models import AuditRow, SessionRow
from app.store.console_models import PresenceRow
from app.store.database import in_seconds, seconds_until
from app.store.models import JournalRow, SagaRow
from app.store.presence import GONE_AFTER_S
from tests.integration.access.conftest import Browser, hashed

IDLE_S = Config.session_idle_s


def started(service, tenant=""):
    """Create a saga, of a tenant or of none, and return the path of its page."""
    headers = {"X-API-Key": service.key(*Scope, name=f"shop-{tenant}", tenant=tenant)}
    body = {"type": "checkout", "data": {"client_id": 4, "magasin_id": 1}}
    answer = service.app.test_client().post("/api/v1/sagas", json=body, headers=headers)
    return f"/admin/sagas/{answer.json['saga']['id']}"


def rows(service, *tables):
    with service.engine.connect() as connection:
        return [connection.execute(select(table.__table__)).all() for table in tables]


@pytest.fixture
def saga(admin_service):
    return started(admin_service)


@pytest.fixture
def otto(admin_service):
    return admin_service.browser(Role.OPERATOR)


@pytest.fixture
def eve(admin_service):
    return admin_service.browser(Role.VIEWER)


def test_colleague_is_named_while_the_page_says_that_it_is_open(admin_service, saga, otto, eve):
    assert "on this page" not in eve.get(saga).text, "to open a page writes nothing"
    assert otto.post(f"{saga}/presence").status_code == 204
    assert "operator is on this page, too." in eve.get(saga).text
    assert "on this page" not in otto.get(saga).text, "nobody is a colleague of oneself"
    assert "on this page" not in eve.get(started(admin_service)).text, "it is another saga"
    admin_service.browser(Role.ADMIN).post(f"{saga}/presence")
    assert "admin, operator are on this page, too." in eve.get(saga).text
    admin_service.run(update(PresenceRow).values(seen_at=in_seconds(-GONE_AFTER_S - 1)))
    assert "on this page" not in eve.get(saga).text


def test_pages_that_are_gone_leave_no_row(admin_service, saga, otto, eve):
    otto.post(f"{saga}/presence")
    admin_service.run(update(PresenceRow).values(seen_at=in_seconds(-GONE_AFTER_S - 1)))
    for _ in range(2):
        eve.post(f"{saga}/presence")
    (found,) = rows(admin_service, PresenceRow)
    assert [row.actor for row in found] == ["user:viewer"]


def test_page_that_says_that_it_is_open_changes_nothing_else(admin_service, saga, otto):
    before = rows(admin_service, SagaRow, JournalRow, AuditRow)
    assert otto.post(f"{saga}/presence").status_code == 204
    assert rows(admin_service, SagaRow, JournalRow, AuditRow) == before


def test_open_page_does_not_keep_the_session(admin_service, saga, eve):
    admin_service.run(update(SessionRow).values(seen_at=in_seconds(-IDLE_S + 5)))
    assert eve.post(f"{saga}/presence").status_code == 204
    with admin_service.engine.connect() as connection:
        assert connection.scalar(select(seconds_until(SessionRow.seen_at))) < -IDLE_S / 2


def test_forged_word_of_a_page_is_refused(admin_service, saga, eve):
    assert eve.post(f"{saga}/presence", token="forged").status_code == 403
    assert rows(admin_service, PresenceRow) == [[]]


def test_saga_of_another_tenant_has_no_page_to_be_on(admin_service, otto):
    services(admin_service.app).users.add("anna", "operator", hashed(), "cli:test", tenant="acme")
    anna = Browser(admin_service.app.test_client())
    assert anna.sign_in("anna").status_code == 303
    own, foreign = started(admin_service, "acme"), started(admin_service, "other")
    assert (anna.post(f"{own}/presence").status_code, anna.post(f"{foreign}/presence").status_code) == (204, 404)
    assert "anna is on this page, too." in otto.get(own).text
    assert "on this page" not in otto.get(foreign).text
