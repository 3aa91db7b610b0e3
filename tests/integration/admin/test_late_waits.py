"""Waiting sagas on the page of sagas that need attention: they are listed only when their wait is late."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from app import create_app
from app.access.permissions import Role
from app.access.principal import user
from app.config import from_environment
from app.services import services
from app.store.database import db
from tests.integration.admin.conftest import SETTINGS, seen
from tests.support.applications import opened

SAGAS = Path(__file__).parents[2] / "support" / "waiting_sagas"
DAY_S = 86_400
#: The usual `dwell_s` of a step, in seconds.
DWELL_S = 300


@pytest.fixture
def page(store_url: str, monkeypatch):
    """Return the client of a service in which a saga waits for a signal, within a day."""
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.OPERATOR))
    app = create_app(from_environment({"DATABASE_URL": store_url, **SETTINGS, "SAGAS": str(SAGAS)}))
    with opened(app):
        services().sagas.start("leave", {"person": "Ada", "number": "L-7"}, wait_s=5)
        yield app.test_client()


def entered(seconds_ago: float) -> None:
    sqlite = f"strftime('%Y-%m-%d %H:%M:%f', 'now', '-{seconds_ago} seconds') || '000'"
    moment = sqlite if db.engine.dialect.name == "sqlite" else f"now() - interval '{seconds_ago} seconds'"
    db.session.execute(text(f"UPDATE saga SET entered_at = {moment}"))
    db.session.commit()


@pytest.mark.parametrize(("seconds_ago", "late"), [(DAY_S + DWELL_S - 60, False), (DAY_S + DWELL_S + 60, True)])
def test_a_waiting_saga_needs_attention_only_when_its_wait_is_late(page: FlaskClient, seconds_ago, late):
    entered(seconds_ago)
    words = seen(page.get("/admin/stuck"))
    assert ("ASKED" in words) is late
