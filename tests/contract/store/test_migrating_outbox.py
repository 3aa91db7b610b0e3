"""Migration 0031 takes the foreign key away from the outbox, and keeps the events and their order."""

from uuid import uuid4

import flask_migrate
import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from app import create_app
from app.cli.migrate import enable_migrations
from app.config import from_environment
from app.store.database import db

COMMIT = """
    INSERT INTO saga (id, definition, definition_version, state, status, data, attempt, deferrals, epoch, version,
                      created_at, updated_at, entered_at, unsure, claims, moves)
    VALUES ({id}, 'checkout', 1, 'INITIEE', 'running', '{{}}', 0, 0, 1, 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP,
            CURRENT_TIMESTAMP, false, 0,
            '[{{"seq": 1, "trigger": "start", "dest": "INITIEE", "actor": "client", "event": "Begun"}}]')
"""


@pytest.fixture
def app(database_url):
    app = create_app(from_environment({"DATABASE_URL": database_url}))
    enable_migrations(app)
    with app.app_context():
        yield app
        db.engine.dispose()


def run(statement, **values):
    with db.engine.connect() as connection:
        found = connection.execute(text(statement), values)
        return found.all() if found.returns_rows else []


def begin():
    """Store a saga whose first move has an event, as each release does."""
    place = ":id" if db.engine.dialect.name == "sqlite" else "CAST(:id AS uuid)"
    run(COMMIT.format(id=place).replace('": ', '" : '), id=uuid4().hex)


def events():
    return run("SELECT id, saga_id, seq FROM outbox ORDER BY id")


def test_events_stay_in_their_order_without_the_foreign_key(app):
    flask_migrate.upgrade(revision="0030")
    for _ in range(3):
        begin()
    run("DELETE FROM outbox WHERE id = 1")
    before = events()
    flask_migrate.upgrade(revision="0031")
    assert inspect(db.engine).get_foreign_keys("outbox") == []
    begin()
    after = events()
    assert (after[:-1], len(after), after[-1].id) == (before, 3, 4)
    run("DELETE FROM saga")
    flask_migrate.downgrade(revision="0030")
    assert events() == [], "an event without its move cannot have a foreign key"
    begin()
    assert [key["referred_table"] for key in inspect(db.engine).get_foreign_keys("outbox")] == ["journal"]
    if db.engine.dialect.name == "postgresql":
        with pytest.raises(IntegrityError):
            run("DELETE FROM saga")
