"""An application whose sagas start other sagas, and the sagas run in the thread of the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.access.permissions import Role
from app.access.principal import user
from app.config import from_environment
from tests.integration.admin.conftest import SETTINGS
from tests.support.applications import opened

#: Folder of sagas that start other ones; all of them only wait.
SAGAS = Path(__file__).parents[2] / "support" / "child_sagas"


@pytest.fixture
def app(store_url: str, monkeypatch) -> Iterator[Flask]:
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.OPERATOR))
    monkeypatch.setattr("app.access.authorization._check_session", lambda: None)
    monkeypatch.setattr("app.access.authorization._check_form", lambda _largest: None)
    app = create_app(from_environment({"DATABASE_URL": store_url, **SETTINGS, "SAGAS": str(SAGAS), "WAIT_S": "0.1"}))
    with opened(app):
        yield app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
