"""Transactions for the few writes of several statements, and the repetition of statements that PostgreSQL rolled back.

Every other write is one statement in autocommit.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy import Engine as Database
from sqlalchemy.exc import SQLAlchemyError

from app.store.database_errors import REPEATABLE, UNPREPARED, sqlstate

_BEGIN = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "BEGIN ISOLATION LEVEL READ COMMITTED"}


@contextmanager
def atomic(database: Database) -> Iterator[Connection]:
    """Commit everything that the block does, or nothing.

    Every connection is in autocommit (see app.store.database), so this function sends BEGIN and COMMIT itself. On
    SQLite only one such block runs at a time.
    """
    with database.connect() as connection:
        connection.exec_driver_sql(_BEGIN[database.dialect.name])
        try:
            yield connection
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            _roll_back(connection)
            raise


def _roll_back(connection: Connection) -> None:
    try:
        connection.exec_driver_sql("ROLLBACK")
    except SQLAlchemyError:  # the transaction may still be open, so the connection must not be used again
        connection.invalidate()


#: Largest number of repetitions of a statement, and the longest pause before the first one, in seconds. The longest
#: pause doubles with each repetition.
MAX_REPETITIONS, FIRST_PAUSE_S = 5, 0.01
_IDLE = 0  # psycopg2's status of a connection without an open transaction; then only the one statement was rolled back


def repeat(error: Exception, cursor: Any, execute: Callable[[], object]) -> None:
    """Execute a statement again after it has failed with `error`. Raise the last error when no repetition succeeds."""
    for before in range(MAX_REPETITIONS):
        code = sqlstate(error)
        if not (code in REPEATABLE or code in UNPREPARED) or cursor.connection.get_transaction_status() != _IDLE:
            break
        time.sleep(random.uniform(0, FIRST_PAUSE_S * 2**before))  # noqa: S311  no secret depends on it
        try:
            execute()
        except Exception as again:  # noqa: BLE001  the loop repeats or raises it
            error = again
        else:
            return
    raise error


def repeat_all(database: Database) -> None:
    """Make SQLAlchemy repeat each statement whose error `repeat` can repair."""
    errors = database.dialect.loaded_dbapi.Error

    @event.listens_for(database, "do_execute")
    def _execute(cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
        try:
            cursor.execute(statement, parameters)
        except errors as error:
            repeat(error, cursor, lambda: cursor.execute(statement, parameters))
        return True
