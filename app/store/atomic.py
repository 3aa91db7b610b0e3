"""Several statements in one transaction, for the few writes that need it: everything else is one statement each."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

_BEGIN = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "BEGIN ISOLATION LEVEL READ COMMITTED"}


@contextmanager
def atomic(engine: Engine) -> Iterator[Connection]:
    """Commit what is done in the block as a whole, or nothing of it.

    The connection stays in autocommit, as all are (see app.store.database), so the transaction is begun and ended by
    statements. SQLite lets only one such block in at a time.
    """
    with engine.connect() as connection:
        connection.exec_driver_sql(_BEGIN[engine.dialect.name])
        try:
            yield connection
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            _roll_back(connection)
            raise


def _roll_back(connection: Connection) -> None:
    try:
        connection.exec_driver_sql("ROLLBACK")
    except SQLAlchemyError:  # nobody must get it with the transaction open
        connection.invalidate()
