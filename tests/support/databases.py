"""Databases for tests. Creating a PostgreSQL database takes 0.1 s, so each database is emptied and used again."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from flask import Flask
from sqlalchemy import Engine

from app.config import from_environment
from app.logs import configure_logging
from app.store import database

#: A fingerprint of the schema, from the transaction numbers (`xmin`) of its catalog rows. It changes with each change
#: of a table, trigger, function or setting.
_FINGERPRINT = """
SELECT md5(string_agg(row, ' ' ORDER BY row)) FROM (
    SELECT oid || ':' || xmin AS row FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT oid || ':' || xmin FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT oid || ':' || xmin FROM pg_trigger
    UNION ALL SELECT 'setting' FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase
        WHERE datname = current_database()
) AS rows
"""
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
_SEQUENCES = "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'"
#: End each other session of the database, and wait up to 10 s for its end. Otherwise a session could still write
#: after the rows were deleted.
_END_OTHERS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


def service_engine(url: str) -> Engine:
    """Return the SQLAlchemy engine that the service makes for this URL.

    The whole service would take 0.06 s of CPU time more.
    """
    app, config = Flask(__name__), from_environment({"DATABASE_URL": url})
    configure_logging(config.log_level, config.log_redact)
    database.install(app, config)
    with app.app_context():
        return database.db.engine


def execute(server: str, sql: str) -> None:
    """Run one statement in autocommit. server: a URL with %s for the database's name."""
    with closing(psycopg2.connect(server % "postgres")) as admin:
        admin.autocommit = True
        with admin.cursor() as cursor:
            cursor.execute(sql)


def new_name() -> str:
    return f"t{uuid.uuid4().hex}"


def own_database(server: str, template: str) -> Iterator[str]:
    """Create a database, return its URL, and drop the database at the end."""
    name = new_name()
    execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server % name
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@dataclass
class DatabasePool:
    """Copies of one migrated template database, which are emptied and used again."""

    server: str
    template: str
    _clean: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        with self._connected(self.template) as template, template.cursor() as cursor:
            self._fingerprint = _only(cursor, _FINGERPRINT)
            # Without this setting, the trigger of the audit trail refuses to delete rows.
            statements = ["SET session_replication_role = replica"]
            for table in _column(cursor, _TABLES):
                statements.append(f"DELETE FROM {table}")
                cursor.execute(f"SELECT * FROM {table}")
                for row in cursor.fetchall():
                    places = ", ".join(["%s"] * len(row))
                    statements.append(cursor.mogrify(f"INSERT INTO {table} VALUES ({places})", row).decode())
            statements += [f"SELECT setval('{name}', 1, false)" for name in _column(cursor, _SEQUENCES)]
            self._restore = statements

    def lend(self) -> Iterator[str]:
        """Return the URL of a database for one test.

        The database gets a new name for each test. So a thread or process that outlives its test cannot connect to it.
        """
        name = new_name()
        if self._clean:
            execute(self.server, f"ALTER DATABASE {self._clean.pop()} RENAME TO {name}")
        else:
            execute(self.server, f"CREATE DATABASE {name} TEMPLATE {self.template}")
        yield self.server % name
        if self._restored(name):
            self._clean.append(name)
        else:
            execute(self.server, f"DROP DATABASE {name} WITH (FORCE)")

    def lend_template(self) -> Iterator[str]:
        """Return the URL of the template itself, with the rows that it had at first. A Citus database has no copies."""
        yield self.server % self.template
        with self._connected(self.template) as database, database.cursor() as cursor:
            cursor.execute(_END_OTHERS)
            for statement in self._restore:  # Citus refuses them in one transaction
                cursor.execute(statement)

    def _restored(self, name: str) -> bool:
        """Restore the rows of the template. Return False, and restore nothing, when the test has changed the schema."""
        with self._connected(name) as database, database.cursor() as cursor:
            cursor.execute(_END_OTHERS)
            if _only(cursor, _FINGERPRINT) != self._fingerprint:
                return False
            cursor.execute("; ".join(self._restore))
            return True

    def _connected(self, name: str) -> Any:
        connection = psycopg2.connect(self.server % name)
        connection.autocommit = True
        return closing(connection)


def _only(cursor: Any, sql: str) -> Any:
    cursor.execute(sql)
    return cursor.fetchone()[0]


def _column(cursor: Any, sql: str) -> list[Any]:
    cursor.execute(sql)
    return [row[0] for row in cursor.fetchall()]
