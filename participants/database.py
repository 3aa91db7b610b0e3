"""Create and upgrade a participant's database, a SQLite file or a PostgreSQL database."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Column, Connection, Engine, MetaData, Table, bindparam, inspect, select, text, update

from participants.barrier import WRITING, insert_new

#: The column with the id of the saga that created a row. The rows of one purchase have the same value at all
#: participants. Earlier releases did not have this column.
SAGA = "achat"

#: Key in the `info` of a table. Its value is the function that fills the new table from other tables.
FILL = "fill"


def driver_url(url: str) -> str:
    """Return the URL with the driver psycopg2; SQLAlchemy 2.1 uses psycopg 3 for a plain postgresql:// URL."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg2{separator}{rest}" if scheme in {"postgres", "postgresql"} else url


def prepare(engine: Engine, metadata: MetaData, seed: Mapping[Table, Iterable[Mapping[str, Any]]]) -> None:
    """Create the missing tables, columns and first rows in one transaction."""
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
    """Yield the columns that the tables of an earlier release do not have."""
    found = inspect(connection)
    for table in metadata.sorted_tables:
        if found.has_table(table.name):
            there = {column["name"] for column in found.get_columns(table.name)}
            yield from (column for column in table.columns if column.name not in there)


def _add_column(connection: Connection, column: Column[Any]) -> None:
    """Add a nullable column and its index. Fill the column `SAGA` for the existing rows."""
    kind = column.type.compile(connection.dialect)
    connection.execute(text(f"ALTER TABLE {column.table.name} ADD COLUMN {column.name} {kind}"))
    for index in column.table.indexes:
        if column.name in index.columns:
            index.create(connection)
    if column.name == SAGA:
        _fill_in_sagas(connection, column)


def _fill_in_sagas(connection: Connection, column: Column[Any]) -> None:
    """Fill in the saga of each row: the saga of the first action in the ledger whose reply contains the row's key."""
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
