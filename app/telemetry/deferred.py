"""Metrics and log lines are recorded when they happen, and counted and written soon afterwards, many at once.

A saga waits for its participants most of the time. Code that runs only now and then is not in the processor's caches:
a single log line takes 64 µs, and each of many lines in a row takes 13 µs.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog

from app.service_threads import ServiceThread, ServiceThreads

_log = structlog.get_logger("notes")
#: Seconds between two flushes; a process that is killed loses the entries of at most this time.
FLUSH_S = 0.25


class Deferred:
    """Entries of many threads, processed in the order of their addition; until `start` each is processed at once."""

    def __init__(self, threads: ServiceThreads | None = None) -> None:
        self._threads = threads or ServiceThreads()
        self._entries: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._flushing = threading.Lock()
        self._later = False
        self._thread: ServiceThread | None = None

    def add(self, process: Callable[..., None], *facts: Any) -> None:
        """Add one entry. facts: the arguments of `process`, which nothing may change afterwards."""
        self._entries.append((process, facts))
        if not self._later:
            self.flush()

    def flush(self) -> None:
        """Process all entries."""
        with self._flushing:
            while self._entries:
                process, facts = self._entries.popleft()
                process(*facts)

    def start(self, stopping: threading.Event) -> None:
        """Process the entries in a separate thread. When `stopping` is set, process each entry at once again."""
        self._later = True

        def flush_until_stopped(progressed: Callable[[], None]) -> None:
            while not stopping.wait(FLUSH_S):
                self._flush_despite_errors()
                progressed()
            self._later = False
            self._flush_despite_errors()

        # "telling" is a value of the label `thread` of saga_thread_alive, so the name stays.
        self._thread = self._threads.add("telling", flush_until_stopped, stopping)
        self._thread.start()

    def join(self) -> None:
        """Wait until all entries are processed, when the process is to end."""
        if self._thread:
            self._thread.join()

    def _flush_despite_errors(self) -> None:
        """Process all entries. An entry that fails is logged and lost; the entries after it are processed."""
        while self._entries:
            try:
                self.flush()
            except Exception:  # noqa: BLE001  any error of an entry
                _log.exception("note.lost")
