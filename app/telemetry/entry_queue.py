"""A thread that counts metrics and writes log lines a little later, many at once.

The threads of sagas only add an entry for each metric or line. This saves time: a single log line takes 64 µs, because
its code is not in the processor's caches, but each of many lines in a row takes 13 µs.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog

from app.service_threads import ServiceThread, ServiceThreads

_log = structlog.get_logger("notes")
#: Seconds between two flushes. A process that is killed loses the entries of this time.
FLUSH_S = 0.25


class EntryQueue:
    """Entries of many threads, processed in their order. Before `start`, `add` processes each entry at once."""

    def __init__(self, threads: ServiceThreads | None = None) -> None:
        self._threads = threads or ServiceThreads()
        self._entries: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._flushing = threading.Lock()
        self._later = False
        self._thread: ServiceThread | None = None

    def add(self, process: Callable[..., None], *facts: Any) -> None:
        """Add one entry. facts: the arguments of `process`, which the caller must not change afterwards."""
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
        """Process the entries in a separate thread until `stopping` is set; then `add` processes each at once."""
        self._later = True

        def flush_until_stopped(progressed: Callable[[], None]) -> None:
            while not stopping.wait(FLUSH_S):
                self._flush_despite_errors()
                progressed()
            self._later = False
            self._flush_despite_errors()

        # The name is a value of the label `thread` of the metric saga_thread_alive, so it must not change.
        self._thread = self._threads.add("telling", flush_until_stopped, stopping)
        self._thread.start()

    def join(self) -> None:
        """Wait until all entries are processed. Call this after `stopping` was set."""
        if self._thread:
            self._thread.join()

    def _flush_despite_errors(self) -> None:
        """Process all entries. Log an entry that fails and drop it; process the entries after it."""
        while self._entries:
            try:
                self.flush()
            except Exception:  # noqa: BLE001  any error of an entry
                _log.exception("note.lost")
