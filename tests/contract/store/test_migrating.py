"""Migrations that are killed at any statement, run beside other migrations, or run while replicas work."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from uuid import uuid4

import flask_migrate
import psycopg2
import pytest

from app import create_app
from app.cli.migrate import enable_migrations
from app.config import from_environment
from app.store.database import db
from tests.support.databases import execute

#: Migrate a SQLite file again and again. The nth process kills itself before its nth statement that writes. After each
#: kill the file must have no tables. The loop ends when a process completes all its statements.
KILLED_EVERYWHERE = """
import os, signal, sqlite3, sys
import flask_migrate
from sqlalchemy import event
from app import create_app
from app.cli.migrate import enable_migrations
from app.config import from_environment
from app.store.database import db

file = sys.argv[1]
app = create_app(from_environment({"DATABASE_URL": f"sqlite:///{file}"}))
enable_migrations(app)

def migrate(killed_at):
    with app.app_context():
        seen = 0

        @event.listens_for(db.engine, "before_cursor_execute")
        def count(_connection, _cursor, statement, *_):
            nonlocal seen
            seen += not statement.startswith(("SELECT", "PRAGMA"))
            if seen == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)

        flask_migrate.upgrade()

def tables():
    connection = sqlite3.connect(file)
    found = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
    connection.close()
    return found

flask_migrate.Migrate  # imported once, in the parent
killed = 0
while True:
    if (child := os.fork()) == 0:
        migrate(killed + 1)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        break
    killed += 1
    assert tables() == [], (killed, tables())
assert {"saga", "journal", "audit_head"} <= set(tables())
print(killed)
"""


@pytest.fixture
def app(database_url):
    app = create_app(from_environment({"DATABASE_URL": database_url}))
    enable_migrations(app)
    with app.app_context():
        yield app
        db.engine.dispose()


def test_killed_sqlite_migration_leaves_nothing(tmp_path):
    program = [sys.executable, "-c", KILLED_EVERYWHERE, tmp_path / "saga.db"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40


def test_simultaneous_migrations_all_succeed(database_url):
    program = [sys.executable, "-m", "flask", "--app", "app", "db", "upgrade"]
    environment = {**os.environ, "DATABASE_URL": database_url}
    running = [subprocess.Popen(program, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    ends = [(process.communicate()[1], process.returncode) for process in running]
    assert [code for _, code in ends] == [0, 0, 0], ends


INSERT = """
    INSERT INTO saga (id, definition, definition_version, state, status, data, attempt, deferrals, epoch, version,
                      due_at, created_at, updated_at, moves)
    VALUES (%s, 'checkout', 1, 'INITIEE', 'running', '{}', 0, 0, 1, 1, now(), now(), now(),
            '[{"seq": 1, "trigger": "start", "dest": "INITIEE", "actor": "client"}]')
"""
UPDATE = """
    UPDATE saga SET version = version + 1, updated_at = now(),
                    moves = '[{"seq": 2, "trigger": "retry", "dest": "INITIEE", "actor": "engine"}]'
    WHERE id = %s
"""
READ = "SELECT count(*) FROM journal JOIN saga ON saga.id = journal.saga_id WHERE saga.id = %s"


#: Seconds between two commits of a replica. Six replicas still commit some hundred sagas a second. Without the pause
#: the migrations would have to rewrite 100,000 rows.
PAUSE_S = 0.005


class Replica(threading.Thread):
    """Commits sagas and reads journals all the time, as a process of an earlier release does."""

    def __init__(self, url):
        super().__init__()
        self.stopping, self.error, self.longest_s, self.commits = threading.Event(), None, 0.0, 0
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True

    def run(self):
        try:
            with self._connection.cursor() as cursor:
                while not self.stopping.is_set():
                    saga_id, began = str(uuid4()), time.monotonic()
                    for statement in (INSERT, UPDATE, READ):
                        cursor.execute(statement, [saga_id])
                    self.longest_s = max(self.longest_s, time.monotonic() - began)
                    self.commits += 1
                    self.stopping.wait(PAUSE_S)
        except psycopg2.Error as error:
            self.error = error
        self._connection.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("first", "times"), [("0002", 1), ("0005", 3)])
def test_a_migration_under_load_fails_no_replica(app, database_url, first, times):
    """If the migration were one transaction, it would lock the journal before the saga.

    Commits of the replicas lock them in the other order, so a deadlock would occur.
    """
    flask_migrate.upgrade(revision=first)
    replicas = [Replica(database_url) for _ in range(6)]
    for replica in replicas:
        replica.start()
    try:
        for _ in range(times):
            flask_migrate.upgrade()
            flask_migrate.downgrade(revision=first)
    finally:
        for replica in replicas:
            replica.stopping.set()
        for replica in replicas:
            replica.join()
    assert [replica.error for replica in replicas] == [None] * len(replicas)
    assert all(replica.commits for replica in replicas)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_migration_waits_for_locks_without_blocking_others(app, database_url):
    flask_migrate.upgrade(revision="0003")
    holder, other = psycopg2.connect(database_url), psycopg2.connect(database_url)
    other.autocommit = True
    with holder.cursor() as reading, other.cursor() as commits:
        reading.execute("SELECT count(*) FROM journal")  # pg_dump, for example, holds such a lock as long as it runs
        migrating = threading.Thread(target=upgrade, args=(app,))
        migrating.start()
        for _ in range(20):
            commits.execute(INSERT, [str(uuid4())])
        holder.rollback()
    migrating.join()
    with other.cursor() as cursor:
        cursor.execute("SELECT version_num FROM alembic_version")
        assert cursor.fetchone() > ("0003",)
    holder.close()
    other.close()


def upgrade(app):
    with app.app_context():
        flask_migrate.upgrade()


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_database_that_cannot_store_every_text_is_refused(postgres_server, encoding):
    name = f"not_{encoding.lower()}"
    execute(
        postgres_server,
        f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 "
        "LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'",
    )
    environment = {**os.environ, "DATABASE_URL": postgres_server % name}
    program = [sys.executable, "-m", "flask", "--app", "app", "db", "upgrade"]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"saga: the database is encoded in {encoding}; make one WITH ENCODING 'UTF8'")


def flask_db(url, *arguments):
    program = [sys.executable, "-m", "flask", "--app", "app", "db", *arguments]
    environment = {**os.environ, "DATABASE_URL": url}
    return subprocess.run(program, env=environment, capture_output=True, text=True, check=False)


def test_database_of_another_program_is_refused_in_one_line(tmp_path):
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE saga (theirs TEXT)")
    done = flask_db(f"sqlite:///{tmp_path}/other.db", "upgrade")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "the database has tables of something else (table saga already exists)" in done.stderr


def test_a_revision_that_does_not_exist_is_bad_input(tmp_path):
    done = flask_db(f"sqlite:///{tmp_path}/new.db", "upgrade", "9999")
    assert done.returncode == 2
    assert "9999" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
