"""Where all sagas are now, read from the database, so that it is the same on every replica: take their `max`.

`saga_unknown_definition_sagas` alone depends on the replica's own tables. A saga stands still only when no replica has
its table, so take the `min`; a replica shows 0 for each table that it has.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from threading import Lock

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from sqlalchemy.exc import SQLAlchemyError

from app.store.counts import Stock
from machines.saga import Saga

_log = structlog.get_logger("metrics")
#: What was read is shown for so long: several who look at once cost one query.
FRESH_S = 1.0


class Gauges:
    """Reads them when somebody looks. Without a database there are none, but for the one that says so."""

    def __init__(
        self, read: Callable[[], Stock], definitions: Iterable[Saga], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read, self._clock, self._lock = read, clock, Lock()
        self._known = {(saga.name, state) for saga in definitions for state in saga.states}
        self._fresh_until = 0.0
        self._stock: Stock | None = None

    def collect(self) -> Iterator[Metric]:
        stock = self._current()
        yield GaugeMetricFamily("saga_database_up", "1: the database answers", value=stock is not None)
        if stock is not None:
            yield from self._families(stock)

    def _current(self) -> Stock | None:
        with self._lock:
            if self._clock() >= self._fresh_until:
                try:
                    self._stock = self._read()
                except SQLAlchemyError as error:
                    _log.warning("database.away", error=str(error).partition("\n")[0])
                    self._stock = None
                self._fresh_until = self._clock() + FRESH_S
            return self._stock

    def _families(self, stock: Stock) -> Iterator[Metric]:
        labels = ("saga", "state")
        current = GaugeMetricFamily("saga_current", "Unfinished sagas in each state", labels=labels)
        oldest = GaugeMetricFamily("saga_oldest_age_seconds", "How long the oldest has been in it", labels=labels)
        for place in sorted(self._known | stock.standing.keys()):
            count, age_s = stock.standing.get(place, (0, 0.0))
            current.add_metric(place, count)
            oldest.add_metric(place, age_s)
        yield current
        yield oldest
        without = "Unfinished sagas whose table this process does not have, so that it moves none of them"
        unknown = GaugeMetricFamily("saga_unknown_definition_sagas", without, labels=("saga", "version"))
        for (name, version), count in sorted(stock.unknown.items()):
            unknown.add_metric((name, str(version)), count)
        yield unknown
        overdue = "How long the saga has been due that has been due for longest"
        yield GaugeMetricFamily("saga_overdue_seconds", overdue, value=stock.overdue_s)
        waited = "How long the oldest event has waited for the broker"
        yield GaugeMetricFamily("saga_outbox_lag_seconds", waited, value=stock.unpublished_s)
        yield GaugeMetricFamily("saga_events_parked", "Messages that wait for a person", value=stock.parked)
        yield GaugeMetricFamily("saga_replicas", "Processes that run sagas", value=stock.replicas)
