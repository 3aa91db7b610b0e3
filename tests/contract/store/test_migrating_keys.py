"""Migration 0027 copies the keys of requests into a table of their own while replicas start and delete sagas."""

import threading
from uuid import uuid4

import flask_migrate
import psycopg2
import pytest
from sqlalchemy import event, text

from app import create_app
from app.cli.migrate import enable_migrations
from app.config import from_environment
from app.store.database import db
from app.store.database_health import schema

COLUMNS = """
    definition, definition_version, state, status, data, attempt, deferrals, epoch, version, created_at, updated_at,
    entered_at, unsure, claims, moves, id, idempotency_key, parent_id
"""
VALUES = """
    'checkout', 1, 'CONFIRMEE', 'completed', '{}', 0, 0, 1, 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP,
    CURRENT_TIMESTAMP, false, 0, '[]'
"""
INSERT = f"INSERT INTO saga ({COLUMNS}) SELECT {VALUES}"
KEYED = f"{INSERT}, %s, %s, NULL"
MANY = f"{INSERT}, gen_random_uuid(), 'before ' || n, NULL FROM generate_series(1, 5000) AS n"


@pytest.fixture
def app(database_url):
    app = create_app(from_environment({"DATABASE_URL": database_url}))
    enable_migrations(app)
    with app.app_context():
        yield app
        db.engine.dispose()


class Shop(threading.Thread):
    """Starts sagas with keys, and deletes ended ones, as processes of the release before migration 0027 do."""

    def __init__(self, url):
        super().__init__()
        self.stopping, self.error, self.commits = threading.Event(), None, 0
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True

    def run(self):
        ended = "DELETE FROM saga WHERE id = (SELECT id FROM saga WHERE idempotency_key > %s LIMIT 1)"
        try:
            with self._connection.cursor() as cursor:
                while not self.stopping.wait(0.002):
                    self.commits += 1
                    cursor.execute(KEYED, [str(uuid4()), str(uuid4())])
                    cursor.execute(ended, [f"before {self.commits % 10}"])
        except psycopg2.Error as error:
            self.error = error
        self._connection.close()


def query(url, statement, *values):
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_keys_of_before_and_of_meanwhile_are_in_their_own_table(app, database_url):
    flask_migrate.upgrade(revision="0026")
    query(database_url, MANY)
    shops = [Shop(database_url) for _ in range(2)]
    for shop in shops:
        shop.start()
    try:
        flask_migrate.upgrade()
    finally:
        for shop in shops:
            shop.stopping.set()
        for shop in shops:
            shop.join()
    assert [shop.error for shop in shops] == [None, None]
    assert all(shop.commits for shop in shops)
    in_saga, in_table = "SELECT idempotency_key, id FROM saga", "SELECT key, saga_id FROM request_key"
    assert query(database_url, f"({in_saga} EXCEPT {in_table}) UNION ALL ({in_table} EXCEPT {in_saga})") == []
    assert query(database_url, "SELECT count(*) FROM request_key") > [(100,)]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_copy_of_keys_holds_the_sagas_until_the_keys_are_there(app, database_url):
    flask_migrate.upgrade(revision="0026")
    query(database_url, MANY)
    copying, deleting = psycopg2.connect(database_url), psycopg2.connect(database_url)
    deleting.autocommit = True

    def statements(_connection, _cursor, statement, *_):
        if "FOR KEY SHARE" in statement and not copying.closed:
            with copying.cursor() as copy, deleting.cursor() as delete:
                copy.execute(statement)
                (last,) = copy.fetchone()
                delete.execute("SET lock_timeout = '100ms'")
                with pytest.raises(psycopg2.errors.LockNotAvailable):
                    delete.execute("DELETE FROM saga WHERE idempotency_key = %s", [last])
            copying.rollback()
            copying.close()

    event.listen(db.engine, "before_cursor_execute", statements)
    flask_migrate.upgrade()
    assert copying.closed
    deleting.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "broken_at", ["max(idempotency_key)", "CREATE INDEX CONCURRENTLY saga_idem", "DROP INDEX CONC"]
)
def test_keys_stay_unique_when_their_migration_is_broken_off(app, database_url, broken_at):
    flask_migrate.upgrade(revision="0026")
    query(database_url, KEYED, str(uuid4()), "before")

    def break_off(_connection, _cursor, statement, *_):
        if broken_at in statement:
            raise InterruptedError(statement)

    event.listen(db.engine, "before_cursor_execute", break_off)
    with pytest.raises(InterruptedError):
        flask_migrate.upgrade()
    event.remove(db.engine, "before_cursor_execute", break_off)
    query(database_url, KEYED, str(uuid4()), "meanwhile")
    for _ in range(2):
        for key in ("before", "meanwhile"):
            with pytest.raises(psycopg2.errors.UniqueViolation):
                query(database_url, KEYED, str(uuid4()), key)
        flask_migrate.upgrade()
    flask_migrate.check()


def test_keys_of_before_are_copied_and_copied_back(app):
    flask_migrate.upgrade(revision="0026")
    with db.engine.begin() as connection:
        for key, parent in (("one", None), ("child", uuid4().hex), (None, None)):
            values = {"id": uuid4().hex, "key": key, "parent": parent}
            types = "CAST(:id AS uuid), :key, CAST(:parent AS uuid)"
            if connection.dialect.name == "sqlite":
                types = ":id, :key, :parent"
            connection.execute(text(f"{INSERT}, {types}"), values)
    flask_migrate.upgrade()
    with db.engine.begin() as connection:
        found = "SELECT key, request_key.definition, outlives_saga FROM request_key JOIN saga ON saga.id = saga_id"
        assert connection.execute(text(found)).all() == [("one", "checkout", False)]
        # The retention of the keys has freed the key, and another saga has it now.
        connection.execute(text("DELETE FROM request_key"))
    flask_migrate.downgrade(revision="0026")
    with db.engine.begin() as connection:
        kept = "SELECT idempotency_key FROM saga WHERE idempotency_key IS NOT NULL"
        assert connection.execute(text(kept)).all() == [("child",)]


def test_state_of_a_database_without_the_table_of_keys_can_be_read(app):
    flask_migrate.upgrade(revision="0026")
    assert schema(db.engine).migration == "0026", "/ready says which migration is missing"
    flask_migrate.upgrade(revision="0027")
    assert (schema(db.engine).migration, schema(db.engine).missing_right) == ("0027", None)
