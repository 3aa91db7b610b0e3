"""The relay: publishes the events of the outbox, at least once, and those of each saga in order."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import structlog
from kombu.exceptions import KombuError
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Row
from sqlalchemy.exc import SQLAlchemyError

from app.events.cloudevent import as_cloudevent
from app.store.outbox import Outbox
from machines.secrets import SecretFields

_log = structlog.get_logger("relay")
#: Largest number of events of one part that are read from the outbox and published together.
BATCH = 100
#: Seconds for which one process alone publishes a part. Another process can take over afterwards.
LEASE_S = 10.0
#: Longest time between two reads of the outbox, in seconds. Another process may have written to the outbox.
IDLE_S = 1.0


class EventPublisher(Protocol):
    """Publishes one event. Raises an error unless the broker has confirmed the event."""

    def publish(self, event: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


class Relay:
    """Publishes the outbox in its own thread.

    names: the types of all events.
    wake: set when this process has written to the outbox.
    stopping: set when the process is to end.
    secrets_of: see `Registry.secrets_of`.
    """

    def __init__(
        self,
        outbox: Outbox,
        publisher: EventPublisher,
        registry: CollectorRegistry,
        *,
        names: Iterable[str],
        wake: threading.Event,
        stopping: threading.Event,
        secrets_of: Callable[[str], SecretFields | None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox, self._publisher, self._clock = outbox, publisher, clock
        self._wake, self._stopping, self._secrets_of = wake, stopping, secrets_of
        self._published = Counter("saga_events_published", "Events published", ["event"], registry=registry)
        for name in names:  # create the series at 0, so that a rate includes its first event
            self._published.labels(name)
        self._unreachable = False

    def run(self, progressed: Callable[[], None] = lambda: None) -> None:
        """Publish until the process is to end. progressed: called after each batch."""
        while not self._stopping.is_set():
            self._wake.wait(IDLE_S)
            self._wake.clear()
            self._publish_all(progressed)
            progressed()
        self._publisher.close()

    def publish_batch(self) -> int:
        """Publish the oldest events of a part, and remove them from the outbox. Return their number."""
        until = self._clock() + LEASE_S
        batch, ids = self._outbox.take(BATCH, LEASE_S), []
        try:
            for move in batch:
                if self._clock() >= until:  # the lease is over: another process may publish
                    break
                self._publisher.publish(self._event_of(move))
                ids.append(move.id)
                self._published.labels(move.event).inc()
        finally:
            if ids:
                self._outbox.published(ids)
            if batch:
                self._outbox.give_back()
        return len(ids)

    def _event_of(self, move: Row[Any]) -> dict[str, Any]:
        secrets = self._secrets_of(move.definition)
        return (
            as_cloudevent(move) if secrets is None else as_cloudevent(move, secrets, self._outbox.replies(move.saga_id))
        )

    def _publish_all(self, progressed: Callable[[], None]) -> None:
        try:
            while self.publish_batch() and not self._stopping.is_set():
                progressed()
        except (KombuError, OSError) as error:
            if not self._unreachable:  # log one line for the whole outage
                _log.warning("broker.away", error=str(error), mend="events wait in the outbox until it is back")
            self._unreachable = True
        except SQLAlchemyError as error:
            _log.warning("database.away", error=str(error).partition("\n")[0])
        else:
            self._unreachable = False
