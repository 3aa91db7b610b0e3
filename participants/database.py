"""One participant's database: a SQLite file or a PostgreSQL database."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

#: Execution options of a transaction that writes. SQLite then takes its one write lock at BEGIN, where the busy
#: timeout applies; a transaction that reads first and writes later would fail at once instead of waiting.
WRITING = {"sqlite_begin": "IMMEDIATE"}

_PRAGMAS = ("busy_timeout = 5000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")


def driver_url(url: str) -> str:
    """Name the driver: SQLAlchemy 2.1 would take psycopg 3 for a plain postgresql:// URL."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg2{separator}{rest}" if scheme in {"postgres", "postgresql"} else url


def tune(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _connected)
        event.listen(engine, "begin", _begun)


def _connected(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begun(connection: Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('sqlite_begin', 'DEFERRED')}")


def insert_new(connection: Connection, table: Table, **values: Any) -> bool:
    """Insert a row unless its key is taken. Two transactions at it at once: the second waits for the first's end."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(**values).on_conflict_do_nothing()
    return connection.execute(statement.returning(*table.primary_key)).first() is not None


def prepare(engine: Engine, metadata: MetaData, seed: Mapping[Table, Iterable[Mapping[str, Any]]]) -> None:
    """Create the tables and their first rows where they do not exist yet, all or nothing."""
    with engine.connect().execution_options(**WRITING) as connection, connection.begin():
        metadata.create_all(connection)
        for table in metadata.sorted_tables:
            for row in seed.get(table, ()):
                insert_new(connection, table, **row)
