from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import create_app
from app.config import from_environment
from app.store.database import db
from app.store.models import SagaRow
from tests.support.applications import opened
from tests.support.servers import OPEN


@pytest.fixture
def client(store_url: str) -> Iterator[FlaskClient]:
    """Return a client of the application. No participant is reachable."""
    settings = {"DATABASE_URL": store_url, "PARTICIPANTS_URL": "http://127.0.0.1:9", "WAIT_S": "0.1"}
    app = create_app(from_environment(OPEN | settings))
    with opened(app):
        yield app.test_client()


@pytest.fixture
def begun(client: FlaskClient) -> Any:
    """Return a function that counts the stored sagas."""
    return lambda: db.session.query(SagaRow).count()
