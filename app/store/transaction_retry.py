"""Repeats a statement that PostgreSQL rolled back because other transactions were in the way."""

import random
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, event

from app.store.database_errors import REPEATABLE, UNPREPARED, sqlstate

#: Most repetitions of a statement, and the longest pause before the first, in seconds; each later pause doubles.
TIMES, PAUSE_S = 5, 0.01
_IDLE = 0  # psycopg2's transaction status: no open transaction, so only this statement was rolled back


def repeat(error: Exception, cursor: Any, execute: Callable[[], object]) -> None:
    """Execute again what failed with `error`. Raise the last error when no repetition succeeds."""
    for before in range(TIMES):
        code = sqlstate(error)
        if not (code in REPEATABLE or code in UNPREPARED) or cursor.connection.get_transaction_status() != _IDLE:
            break
        time.sleep(random.uniform(0, PAUSE_S * 2**before))  # noqa: S311  not a secret
        try:
            execute()
        except Exception as again:  # noqa: BLE001  raised, unless another repetition may help
            error = again
        else:
            return
    raise error


def repeat_all(engine: Engine) -> None:
    """Repeat every statement that SQLAlchemy executes, where a repetition can help."""
    errors = engine.dialect.loaded_dbapi.Error

    @event.listens_for(engine, "do_execute")
    def _execute(cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
        try:
            cursor.execute(statement, parameters)
        except errors as error:
            repeat(error, cursor, lambda: cursor.execute(statement, parameters))
        return True
