"""Transactions: the few writes of several statements, and the repetition of statements that PostgreSQL rolled back.

All other writes are one statement in autocommit.
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
    """Commit all that the block does, or nothing.

    The connection stays in autocommit, as all connections do (see app.store.database), so statements begin and end the
    transaction. SQLite admits only one such block at a time.
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
    except SQLAlchemyError:  # no other user may get the connection with the transaction open
        connection.invalidate()


#: Most repetitions of a statement, and the longest pause before the first, in seconds; each later pause doubles.
MAX_REPETITIONS, FIRST_PAUSE_S = 5, 0.01
_IDLE = 0  # psycopg2's transaction status: no open transaction, so only this statement was rolled back


def repeat(error: Exception, cursor: Any, execute: Callable[[], object]) -> None:
    """Execute again what failed with `error`. Raise the last error when no repetition succeeds."""
    for before in range(MAX_REPETITIONS):
        code = sqlstate(error)
        if not (code in REPEATABLE or code in UNPREPARED) or cursor.connection.get_transaction_status() != _IDLE:
            break
        time.sleep(random.uniform(0, FIRST_PAUSE_S * 2**before))  # noqa: S311  not a secret
        try:
            execute()
        except Exception as again:  # noqa: BLE001  raised, unless another repetition may help
            error = again
        else:
            return
    raise error


def repeat_all(database: Database) -> None:
    """Repeat every statement that SQLAlchemy executes, where a repetition can help."""
    errors = database.dialect.loaded_dbapi.Error

    @event.listens_for(database, "do_execute")
    def _execute(cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
        try:
            cursor.execute(statement, parameters)
        except errors as error:
            repeat(error, cursor, lambda: cursor.execute(statement, parameters))
        return True
