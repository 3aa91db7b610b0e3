"""Expensive figures: one computation at a time in a process, bounded in time, and shared for a few seconds.

A diagram of many sagas can read millions of rows. Without these bounds, a few requests for it would take every
connection of the process, and PostgreSQL would go on after the clients have left.
"""

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy import Engine as Database
from sqlalchemy.exc import DBAPIError

from app.errors import BusyError
from app.store.database_errors import sqlstate
from app.store.tenants import acting_tenant
from app.store.transactions import atomic

#: Longest time of one statement for figures, in seconds. A statement for a saga takes milliseconds.
STATEMENT_S = 5.0
#: Longest wait of a request for figures that another request computes, in seconds.
WAIT_S = 2.0
#: Largest number of figures that are kept at once.
MOST_KEPT = 64
_CANCELLED = "57014"  # SQLSTATE of a statement that statement_timeout has ended
Value = TypeVar("Value")


class SharedFigures(Generic[Value]):
    """Computes figures for one request at a time. Requests within `kept_s` seconds get the same result."""

    def __init__(self, kept_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept_s, self._clock, self._lock = kept_s, clock, threading.Lock()
        self._kept: dict[Hashable, tuple[Value, float]] = {}

    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """Return the figures of a key, for each tenant its own. Raise BusyError when another one takes too long."""
        key = acting_tenant(), key
        if not self._lock.acquire(timeout=WAIT_S):
            raise BusyError("figures are being computed for another request; try again in a few seconds")
        try:
            found = self._kept.get(key)
            if found is None or self._clock() >= found[1]:
                if len(self._kept) >= MOST_KEPT:
                    self._kept.clear()
                value = compute()
                found = self._kept[key] = value, self._clock() + self._kept_s
            return found[0]
        finally:
            self._lock.release()


@contextmanager
def bounded_statements(database: Database, longest_s: float = STATEMENT_S) -> Iterator[Connection]:
    """Return a connection on which PostgreSQL cancels each statement after `longest_s` seconds. Raise BusyError then.

    The limit ends with the transaction, so it also works behind a pooler. SQLite has no such limit.
    """
    if database.dialect.name == "sqlite":
        with database.connect() as connection:
            yield connection
        return
    try:
        with atomic(database) as connection:
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {round(longest_s * 1000)}")
            yield connection
    except DBAPIError as error:
        if sqlstate(error.orig) != _CANCELLED:
            raise
        raise BusyError(f"these figures take longer than {longest_s:g} s; choose a shorter window") from error
