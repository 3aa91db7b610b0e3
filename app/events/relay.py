"""Publishing what lies in the outbox, in its order, at least once."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import structlog
from kombu.exceptions import KombuError
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy.exc import SQLAlchemyError

from app.events.cloudevent import as_cloudevent
from app.store.outbox import Outbox

_log = structlog.get_logger("relay")
BATCH = 100
LEASE_S = 10.0
#: Between two looks when nobody says that there is something new, for another process may have left it.
IDLE_S = 1.0


class Publishes(Protocol):
    """Anything that publishes one event and knows whether it has."""

    def publish(self, event: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


class Relay:
    """The thread that publishes what is in the outbox.

    names: of all events there are. wake: set when this process has just written to the outbox.
    stopping: set when the process is to end.
    """

    def __init__(
        self,
        outbox: Outbox,
        publisher: Publishes,
        registry: CollectorRegistry,
        *,
        names: Iterable[str],
        wake: threading.Event,
        stopping: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox, self._publisher, self._clock = outbox, publisher, clock
        self._wake, self._stopping = wake, stopping
        self._published = Counter("saga_events_published", "Events published", ["event"], registry=registry)
        for name in names:  # so that a rate sees the first of each
            self._published.labels(name)
        self._away = False

    def run(self, progressed: Callable[[], None] = lambda: None) -> None:
        """Publish until this process is to end. progressed: called after each batch."""
        while not self._stopping.is_set():
            self._wake.wait(IDLE_S)
            self._wake.clear()
            self._publish_all(progressed)
            progressed()
        self._publisher.close()

    def publish_batch(self) -> int:
        """Publish the oldest events, and take those from the outbox that surely were; return how many."""
        until = self._clock() + LEASE_S
        batch, ids = self._outbox.take(BATCH, LEASE_S), []
        try:
            for move in batch:
                if self._clock() >= until:  # another process may be at it now
                    break
                self._publisher.publish(as_cloudevent(move))
                ids.append(move.id)
                self._published.labels(move.event).inc()
        finally:
            if ids:
                self._outbox.published(ids)
        return len(ids)

    def _publish_all(self, progressed: Callable[[], None]) -> None:
        try:
            while self.publish_batch() == BATCH and not self._stopping.is_set():
                progressed()
        except (KombuError, OSError) as error:
            if not self._away:  # once, and not once a second
                _log.warning("broker.away", error=str(error), mend="events wait in the outbox until it is back")
            self._away = True
        except SQLAlchemyError as error:
            _log.warning("database.away", error=str(error).partition("\n")[0])
        else:
            self._away = False
