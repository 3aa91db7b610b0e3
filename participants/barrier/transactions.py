"""Transactions that write, on SQLite and on PostgreSQL."""

from typing import Any

from sqlalchemy import Connection, Engine, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

#: Execution options of a transaction that writes. With them SQLite takes its only write lock at BEGIN, and waits for
#: the lock up to the busy timeout. A transaction that reads first and writes later would fail at once instead of
#: waiting.
WRITING = {"sqlite_begin": "IMMEDIATE"}

_PRAGMAS = ("busy_timeout = 5000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")


def tune(engine: Engine) -> None:
    """Prepare an engine for the barrier: on SQLite, set the pragmas and let `WRITING` take effect."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_pragmas)
        event.listen(engine, "begin", _begin)


def _set_pragmas(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('sqlite_begin', 'DEFERRED')}")


def insert_new(connection: Connection, table: Table, **values: Any) -> bool:
    """Insert a row. Return False when a row with its key exists.

    When two calls insert one key at the same time, the second insert waits until the transaction of the first has
    ended.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(**values).on_conflict_do_nothing()
    return connection.execute(statement.returning(*table.primary_key)).first() is not None
