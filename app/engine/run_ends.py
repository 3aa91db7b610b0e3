"""Requests that wait for sagas which their threads have released: each is woken when this process has run its saga.

A saga that waits for its branches is released, and the thread of its request only reads its state. The saga is mostly
continued in this process, so the request need not find out by its next read.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID


class RunEnds:
    """The requests that wait in this process, by the ids of their sagas."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, list[threading.Event]] = {}
        self._changing = threading.Lock()

    @contextmanager
    def watched(self, saga_id: UUID) -> Iterator[threading.Event]:
        """Yield an event that is set each time this process has run the saga."""
        ran = threading.Event()
        with self._changing:
            self._waiting.setdefault(saga_id, []).append(ran)
        try:
            yield ran
        finally:
            with self._changing:
                self._waiting[saga_id].remove(ran)
                if not self._waiting[saga_id]:
                    del self._waiting[saga_id]

    def ran(self, saga_id: UUID) -> None:
        """Wake the requests that wait for this saga."""
        if saga_id in self._waiting:
            with self._changing:
                for each in self._waiting.get(saga_id, ()):
                    each.set()
