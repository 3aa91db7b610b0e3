"""Sagas whose first commit is late are made durable as they began, by one thread of the process.

A saga is stored by its first commit, which comes before its first effect (ADR 3). One that reads for long before that,
or waits for a thread, would be in no list, and its client would have to wait for it beyond the wait it asked for. So
what is still not durable after LATE_S is inserted as it began; its own first commit is then a save (ADR 27).
"""

import threading
import time
from collections import deque
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.store.instance import Instance
from app.store.sagas import KeyTakenError
from app.supervision import ServiceThreads

_log = structlog.get_logger("early")
#: Seconds from the beginning of a saga; most have ended by then, and cost nothing here.
LATE_S = 0.1
#: Seconds between two looks at those that have begun.
LOOK_S = 0.05
#: Seconds after which an idle thread looks whether the process is to end.
IDLE_S = 1.0


class EarlyCommits:
    """insert: makes one saga durable as it began. stopping: set when the process is to end."""

    def __init__(
        self,
        insert: Callable[[Instance], None],
        stopping: threading.Event,
        clock: Callable[[], float] = time.monotonic,
        threads: ServiceThreads | None = None,
    ) -> None:
        self._insert, self._stopping, self._clock = insert, stopping, clock
        self._begun: deque[Instance] = deque()
        self._some = threading.Event()
        self._thread = (threads or ServiceThreads()).add("early", self._look_until_stopped, stopping, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def watch(self, saga: Instance) -> None:
        """Make this saga durable if nobody else has done so when LATE_S is over."""
        self._begun.append(saga)
        if not self._some.is_set():
            self._some.set()

    def look(self) -> None:
        """Insert those that are late."""
        for _ in range(len(self._begun)):
            saga = self._begun.popleft()
            if saga.durable or saga.key_taken:
                continue
            if self._clock() - saga.began < LATE_S:
                self._begun.appendleft(saga)  # those behind it have begun later
                return
            try:
                self._insert(saga)
            except KeyTakenError:
                saga.key_taken = True
            except SQLAlchemyError as error:
                _log.warning("early.failed", saga_id=str(saga.id), error=str(error).partition("\n")[0])
                self._begun.append(saga)

    def _look_until_stopped(self, progressed: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            if not self._begun:
                self._some.clear()
                if not self._begun:  # one that was added in between has set it before it was cleared
                    self._some.wait(IDLE_S)
            self.look()
            progressed()
            self._stopping.wait(LOOK_S)
