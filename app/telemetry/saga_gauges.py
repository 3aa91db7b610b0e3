"""Gauges of sagas by state, read from the database. All replicas show equal values, so PromQL queries take the `max`.

`saga_unknown_definition_sagas` is different. A replica shows 0 for each table that it has. A saga cannot continue when
all replicas lack its table, so queries of this gauge take the `min`.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from threading import Lock

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from sqlalchemy.exc import SQLAlchemyError

from app.store.processes import Processes
from app.store.statistics import SagaCounts
from machines.saga import Saga

_log = structlog.get_logger("metrics")
#: How long the counts are cached, in seconds, so that simultaneous scrapes cost one query.
CACHE_S = 1.0


class SagaGauges:
    """Reads the gauges at a scrape. When the database does not answer, the only gauge is `saga_database_up`."""

    def __init__(
        self, read: Callable[[], SagaCounts], definitions: Iterable[Saga], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read, self._clock, self._lock = read, clock, Lock()
        self._known = {(saga.name, state) for saga in definitions for state in saga.states}
        self._cached_until = 0.0
        self._counts: SagaCounts | None = None

    def collect(self) -> Iterator[Metric]:
        counts = self._current()
        yield GaugeMetricFamily("saga_database_up", "Database: 1 answers, 0 does not answer", value=counts is not None)
        if counts is not None:
            yield from self._families(counts)

    def _current(self) -> SagaCounts | None:
        with self._lock:
            if self._clock() >= self._cached_until:
                try:
                    self._counts = self._read()
                except SQLAlchemyError as error:
                    _log.warning("database.away", error=str(error).partition("\n")[0])
                    self._counts = None
                self._cached_until = self._clock() + CACHE_S
            return self._counts

    def _families(self, counts: SagaCounts) -> Iterator[Metric]:
        labels = ("saga", "state")
        current = GaugeMetricFamily("saga_current", "Unfinished sagas in each state", labels=labels)
        oldest = GaugeMetricFamily(
            "saga_oldest_age_seconds", "Seconds since the oldest saga in the state entered it", labels=labels
        )
        for key in sorted(self._known | counts.by_state.keys()):
            count, age_s = counts.by_state.get(key, (0, 0.0))
            current.add_metric(key, count)
            oldest.add_metric(key, age_s)
        yield current
        yield oldest
        without = "Unfinished sagas that this process cannot run, because it does not have their table"
        unknown = GaugeMetricFamily("saga_unknown_definition_sagas", without, labels=("saga", "version"))
        for (name, version), count in sorted(counts.unknown.items()):
            unknown.add_metric((name, str(version)), count)
        yield unknown
        overdue = "Seconds that the longest overdue saga has been due"
        yield GaugeMetricFamily("saga_overdue_seconds", overdue, value=counts.overdue_s)
        due = "Sagas that are due and wait for a process, for scaling the workers"
        yield GaugeMetricFamily("saga_due", due, value=counts.due)
        waited = "Seconds that the oldest unpublished event has waited for the broker"
        yield GaugeMetricFamily("saga_outbox_lag_seconds", waited, value=counts.unpublished_s)
        yield GaugeMetricFamily(
            "saga_events_parked", "Dead letters: received messages that wait for a person", value=counts.parked
        )
        pending = "Messages to webhooks that are still to be sent"
        yield GaugeMetricFamily("saga_webhooks_pending", pending, value=counts.webhooks_pending)
        dead = "Dead letters: messages to webhooks that were not delivered, and wait for a person"
        yield GaugeMetricFamily("saga_webhooks_dead", dead, value=counts.webhooks_dead)
        expiring = "Programs whose last API key expires within 14 days"
        yield GaugeMetricFamily("saga_api_keys_expiring", expiring, value=counts.keys_expiring)
        yield from _process_families(counts.processes)


def _process_families(processes: Processes) -> Iterator[Metric]:
    yield GaugeMetricFamily("saga_replicas", "Processes that run sagas", value=processes.count)
    by_role = "Processes that run sagas, by role; unknown: of an earlier release"
    family = GaugeMetricFamily("saga_processes", by_role, labels=("role",))
    for role, number in sorted(processes.by_role.items()):
        family.add_metric((role,), number)
    yield family
    most = "Database connections that all processes may open together: the sum of DATABASE_CONNECTIONS"
    yield GaugeMetricFamily("saga_connections_possible", most, value=processes.connections)
    if processes.allowed is not None:
        allowed = "Database connections that the server accepts from this role; absent for SQLite and behind a pooler"
        yield GaugeMetricFamily("saga_connections_allowed", allowed, value=processes.allowed)
