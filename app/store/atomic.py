"""Transactions of several statements, for the few writes that need one; all other writes are one statement."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

_BEGIN = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "BEGIN ISOLATION LEVEL READ COMMITTED"}


@contextmanager
def atomic(engine: Engine) -> Iterator[Connection]:
    """Commit all that the block does, or nothing.

    The connection stays in autocommit, as all connections do (see app.store.database), so statements begin and end the
    transaction. SQLite admits only one such block at a time.
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
    except SQLAlchemyError:  # no other user may get the connection with the transaction open
        connection.invalidate()
