from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import event

from app import create_app
from app.config import from_environment
from app.store.database import db
from tests.integration.engine.scene import Scene


@pytest.fixture
def scene(store_url: str) -> Iterator[Scene]:
    app = create_app(from_environment({"DATABASE_URL": store_url}))
    with app.app_context():
        database = db.engine
    scene = Scene(database, CollectorRegistry())
    event.listen(database, "before_cursor_execute", lambda _c, _u, sql, *_: scene.statements.append(sql))
    yield scene
    database.dispose()
