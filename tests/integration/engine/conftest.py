from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from app import create_app
from app.config import from_environment
from app.store.database import db
from tests.integration.engine.scene import Scene
from tests.statements import recorded


@pytest.fixture
def scene(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    app = create_app(from_environment({"DATABASE_URL": store_url}))
    with app.app_context():
        database = db.engine
    yield Scene(database, CollectorRegistry(), statements=recorded(database, monkeypatch))
    database.dispose()
