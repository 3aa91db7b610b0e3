"""Runs the migrations on the application's own database: one process at a time, each migration as a whole.

SQLite: all migrations in one transaction. PostgreSQL: one transaction for each migration. A migration that does not get
its locks at once is rolled back and tried again, because replicas work at the same time. ADR 25 says what a migration
may do.
"""

import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError

from app.settings import ConfigError
from app.store.database_errors import REPEATABLE, sqlstate
from app.store.partitions import PARTITION, is_partitioned

#: The number of the advisory lock; no other program locks this number in this database.
TURN = 5_349_786_201
#: Seconds after which a process that waits for another migrator, or for its locks, gives up.
PATIENCE_S = 120.0
#: Seconds between two checks whether another migrator has ended.
LOOK_S = 0.2
#: Seconds between two tries of a migration that did not get its locks. Replicas commit in this time.
AGAIN_S = 1.0
#: Longest wait for a lock, in milliseconds. PostgreSQL's deadlock_timeout is 1 s, so a deadlock cancels the migration
#: and never a replica.
LOCK_TIMEOUT_MS = 500
#: The tables to lock, in the order in which the engine's commits lock them: the trigger writes the journal last.
LOCKED = ("saga", "journal")
_TOUCHES = re.compile(rf"\b({'|'.join(LOCKED)})\b")

database = current_app.extensions["migrate"].db


def _run(connection: Connection, *, each: bool) -> None:
    context.configure(
        connection=connection,
        target_metadata=database.metadata,
        transaction_per_migration=each,
        include_name=_is_compared,
        include_object=partial(_is_as_described, connection),
    )
    with context.begin_transaction():
        context.run_migrations()


def _is_compared(name: str | None, kind: str, _parents: Any) -> bool:
    """Return False for partitions, and for an index of an expression, which a migration alone describes."""
    if kind == "table" and name is not None:
        return not PARTITION.fullmatch(name)
    return not (kind == "index" and name is not None and name.endswith(("_folded", "_id_end")))


def _is_as_described(connection: Connection, described: Any, name: str | None, kind: str, *_: Any) -> bool:
    """Return False for what app.store.partitions has changed: keys to `saga`, and an index that is unique by parts."""
    if kind == "foreign_key_constraint":
        changed = {element.column.table.name for element in described.elements} == {"saga"}
    else:
        changed = kind == "index" and name == "saga_children"
    return not (changed and is_partitioned(connection))


def _on_sqlite(engine: Engine) -> None:
    # Alembic uses a transaction that is already open. Python's sqlite3 opens none before DDL, so it is opened here.
    # IMMEDIATE lets one process in at a time.
    with engine.connect() as connection:
        try:
            with connection.begin():
                connection.exec_driver_sql(f"PRAGMA busy_timeout={PATIENCE_S * 1000:.0f}")
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                _run(connection, each=False)
        finally:
            connection.invalidate()  # the next user of this pooled connection must not get the long busy_timeout


def _on_postgresql(engine: Engine) -> None:
    whole = engine.execution_options(isolation_level="READ COMMITTED")
    until = time.monotonic() + PATIENCE_S
    with whole.connect() as turn, whole.connect() as connection:
        _check_encoding(turn)
        _take_turn(turn, until)
        event.listen(connection, "begin", _at_begin)
        event.listen(connection, "before_cursor_execute", _lock_in_order)
        connection.exec_driver_sql("SET statement_timeout = 0")
        connection.commit()
        try:
            while not _done(connection, until):
                time.sleep(AGAIN_S)
        finally:
            connection.invalidate()  # together with its session settings


def _check_encoding(connection: Connection) -> None:
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    connection.rollback()
    if encoding != "UTF8":
        raise ConfigError(f"the database is encoded in {encoding}; make one WITH ENCODING 'UTF8' TEMPLATE template0")


def _take_turn(turn: Connection, until: float) -> None:
    """Wait until no other process migrates.

    The lock ends with the transaction, so it works behind a pooler and is released when this process dies. The lock is
    tried repeatedly instead of awaited: CREATE INDEX CONCURRENTLY would wait for a session that waits in a statement.
    """
    while not turn.execute(text("SELECT pg_try_advisory_xact_lock(:turn)"), {"turn": TURN}).scalar_one():
        turn.rollback()
        if time.monotonic() > until:
            raise ConfigError(f"another process has been migrating this database for {PATIENCE_S:g} s; try again later")
        time.sleep(LOOK_S)
    turn.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


def _done(connection: Connection, until: float) -> bool:
    """Migrate. Return False when a lock was not free: the migrations that were not committed must be tried again."""
    try:
        _run(connection, each=True)
    except DBAPIError as error:
        if sqlstate(error.orig) not in REPEATABLE or time.monotonic() > until:
            raise
        connection.rollback()
        return False
    return True


def _at_begin(connection: Connection) -> None:
    connection.info["locked"] = False
    with connection.connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")


def _lock_in_order(connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
    """Take the locks of a migration before its first statement that needs them."""
    if connection.connection.dbapi_connection.autocommit or connection.info["locked"] or not _TOUCHES.search(statement):
        return
    connection.info["locked"] = True
    cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = ANY (current_schemas(false))")
    there = {name for (name,) in cursor.fetchall()}
    if locked := ", ".join(name for name in LOCKED if name in there):
        cursor.execute(f"LOCK TABLE {locked} IN ACCESS EXCLUSIVE MODE")


_WAYS: dict[str, Callable[[Engine], None]] = {"sqlite": _on_sqlite, "postgresql": _on_postgresql}
_WAYS[database.engine.dialect.name](database.engine)
