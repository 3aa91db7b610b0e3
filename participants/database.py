"""One participant's database: a SQLite file or a PostgreSQL database."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Column, Connection, Engine, MetaData, Table, bindparam, event, inspect, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

#: Execution options of a transaction that writes. SQLite then takes its one write lock at BEGIN, where the busy
#: timeout applies; a transaction that reads first and writes later would fail at once instead of waiting.
WRITING = {"sqlite_begin": "IMMEDIATE"}

#: The column that holds the id of the saga which made a row: what one purchase did at several participants has the
#: same value in all of them. Earlier releases did not have the column.
SAGA = "achat"

#: Key in the `info` of a table: the function that fills the table when it is created, from what other tables hold.
FILL = "fill"

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
    """Create the tables, columns and first rows that do not exist yet, all or nothing."""
    with engine.connect().execution_options(**WRITING) as connection, connection.begin():
        missing, new = list(_missing_columns(connection, metadata)), _missing_tables(connection, metadata)
        metadata.create_all(connection)
        for column in missing:
            _add_column(connection, column)
        for table in new:
            if FILL in table.info:
                table.info[FILL](connection)
        for table in metadata.sorted_tables:
            for row in seed.get(table, ()):
                insert_new(connection, table, **row)


def _missing_tables(connection: Connection, metadata: MetaData) -> list[Table]:
    found = inspect(connection)
    return [table for table in metadata.sorted_tables if not found.has_table(table.name)]


def _missing_columns(connection: Connection, metadata: MetaData) -> Iterator[Column[Any]]:
    """Yield the columns that a table of an earlier release lacks."""
    found = inspect(connection)
    for table in metadata.sorted_tables:
        if found.has_table(table.name):
            there = {column["name"] for column in found.get_columns(table.name)}
            yield from (column for column in table.columns if column.name not in there)


def _add_column(connection: Connection, column: Column[Any]) -> None:
    """Add a nullable column, its index, and the saga of each earlier row where the column holds that."""
    kind = column.type.compile(connection.dialect)
    connection.execute(text(f"ALTER TABLE {column.table.name} ADD COLUMN {column.name} {kind}"))
    for index in column.table.indexes:
        if column.name in index.columns:
            index.create(connection)
    if column.name == SAGA:
        _fill_in_sagas(connection, column)


def _fill_in_sagas(connection: Connection, column: Column[Any]) -> None:
    """Read from the barrier's ledger which saga made each row: the first action that answered with the row's key."""
    table, ledger = column.table, column.table.metadata.tables["barrier_ledger"]
    (key,) = table.primary_key.columns
    query = select(ledger.c.saga_id, ledger.c.reply).where(ledger.c.direction == "do").order_by(ledger.c.at)
    sagas: dict[str, str] = {}
    for row in connection.execute(query):
        if row.reply and key.name in row.reply:
            sagas.setdefault(row.reply[key.name], row.saga_id)
    if sagas:
        filling = update(table).where(key == bindparam("row_key")).values({column: bindparam("saga")})
        connection.execute(filling, [{"row_key": row_key, "saga": saga} for row_key, saga in sagas.items()])
