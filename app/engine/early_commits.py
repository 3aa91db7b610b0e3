"""A thread that inserts sagas in their initial state when their first commit is late.

A saga is stored by its first commit, which comes before its first call with an effect (ADR 3). The commit is late when
the reads before that call take long, or when the saga waits for a thread. Until the commit no list shows the saga, and
its client waits, even beyond the wait that the client asked for. So a saga that is not durable after LATE_S is inserted
in its initial state, and its first commit is then an update (ADR 27).
"""

import threading
import time
from collections import deque
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.service_threads import ServiceThreads
from app.store.instance import Instance
from app.store.sagas import KeyTakenError

_log = structlog.get_logger("early")
#: Seconds from a saga's start to its early insert. Most sagas end earlier and need no early insert.
LATE_S = 0.1
#: Seconds between two checks of the watched sagas.
LOOK_S = 0.05
#: Seconds between two checks of `stopping` while there are no sagas to watch.
IDLE_S = 1.0


class EarlyCommits:
    """The sagas that have started and may need an early insert, and the thread that inserts them.

    insert: makes one saga durable in its initial state.
    stopping: set when the process is to end.
    """

    def __init__(
        self,
        insert: Callable[[Instance], None],
        stopping: threading.Event,
        clock: Callable[[], float] = time.monotonic,
        threads: ServiceThreads | None = None,
    ) -> None:
        self._insert, self._stopping, self._clock = insert, stopping, clock
        self._watched: deque[Instance] = deque()
        self._some = threading.Event()
        self._thread = (threads or ServiceThreads()).add("early", self._look_until_stopped, stopping, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def watch(self, saga: Instance) -> None:
        """Insert this saga after LATE_S, unless it is durable by then."""
        self._watched.append(saga)
        if not self._some.is_set():
            self._some.set()

    def look(self) -> None:
        """Insert the sagas that are late."""
        for _ in range(len(self._watched)):
            saga = self._watched.popleft()
            if saga.durable or saga.key_taken:
                continue
            if self._clock() - saga.started_at < LATE_S:
                self._watched.appendleft(saga)  # the sagas behind it started later
                return
            try:
                self._insert(saga)
            except KeyTakenError:
                saga.key_taken = True
            except SQLAlchemyError as error:
                _log.warning("early.failed", saga_id=str(saga.id), error=str(error).partition("\n")[0])
                self._watched.append(saga)

    def _look_until_stopped(self, progressed: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            if not self._watched:
                self._some.clear()
                if not self._watched:  # check again: a saga that was added before clear() has lost its event
                    self._some.wait(IDLE_S)
            self.look()
            progressed()
            self._stopping.wait(LOOK_S)
