"""Queries to a database that may hang: the caller waits a bounded time, and the query goes on without the caller.

A server that is stopped, or behind a network that loses every packet, ends no statement by itself: statement_timeout is
enforced by the server, and the operating system gives up only after minutes.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from sqlalchemy.exc import TimeoutError as SilentError

Answer = TypeVar("Answer")
#: Seconds that /ready and /metrics wait for the database; probes give up after 5 s or more.
PATIENCE_S = 2.0


class Bounded(Generic[Answer]):
    """Runs a query in its own thread, one at a time; callers that come meanwhile wait for the same answer."""

    def __init__(self, ask: Callable[[], Answer], patience_s: float = PATIENCE_S) -> None:
        self._ask, self._patience_s = ask, patience_s
        self._lock, self._asked = threading.Lock(), Future[Answer]()
        self._asked.cancel()

    def __call__(self) -> Answer:
        """Return the answer, or raise the database's error. Raise SilentError when no answer came in time."""
        with self._lock:
            if self._asked.done():
                self._asked = Future()
                # A daemon, so that a process can end while the database hangs.
                threading.Thread(target=self._run, args=(self._asked,), name="asking", daemon=True).start()
            asked = self._asked
        try:
            return asked.result(self._patience_s)
        except TimeoutError:
            if asked.done():
                raise
            raise SilentError(f"the database has not answered within {self._patience_s:g} s") from None

    def _run(self, asked: "Future[Answer]") -> None:
        try:
            asked.set_result(self._ask())
        except BaseException as error:  # noqa: BLE001  raised where the answer is awaited
            asked.set_exception(error)
