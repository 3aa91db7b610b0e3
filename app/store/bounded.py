"""Asking a database that may hang: whoever asks waits a bounded time, and the question goes on without them.

A server that is stopped, or behind a network that loses everything, ends no statement by itself: statement_timeout is
the server's, and the operating system gives up after minutes.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from sqlalchemy.exc import TimeoutError as SilentError

Answer = TypeVar("Answer")
#: Seconds that /ready and /metrics wait for the database: probes give up after 5 s and more.
PATIENCE_S = 2.0


class Bounded(Generic[Answer]):
    """Asks in a thread of its own, one at a time: whoever asks meanwhile waits for the same answer."""

    def __init__(self, ask: Callable[[], Answer], patience_s: float = PATIENCE_S) -> None:
        self._ask, self._patience_s = ask, patience_s
        self._lock, self._asked = threading.Lock(), Future[Answer]()
        self._asked.cancel()

    def __call__(self) -> Answer:
        """Return the answer, or raise what the database said; SilentError when it has said nothing in time."""
        with self._lock:
            if self._asked.done():
                self._asked = Future()
                # A daemon: a process that ends does not wait for a database that hangs.
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
        except BaseException as error:  # noqa: BLE001  raised where the answer is waited for
            asked.set_exception(error)
