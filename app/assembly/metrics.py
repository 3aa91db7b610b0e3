"""The metrics of the process: what is counted, and what is read when they are scraped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from app.assembly.base import Base
from app.broker import Broker
from app.calls.breakers import GuardedSender
from app.store.database_health import Bounded
from app.store.statistics import saga_counts
from app.telemetry import Telemetry
from app.telemetry.aliases import ALIASES
from app.telemetry.exposition import Exposition
from app.telemetry.process_gauges import breaker_gauge, broker_gauge, build_info, thread_gauge
from app.telemetry.saga_gauges import SagaGauges
from app.telemetry.table_gauges import TableGauges


@dataclass(frozen=True)
class Metrics:
    telemetry: Telemetry
    exposition: Exposition
    #: To be called at each heartbeat: gauges that another process may read from the folder of the metrics.
    at_each_beat: Sequence[Callable[[], None]]


def make_metrics(base: Base, guarded: GuardedSender, broker: Broker | None) -> Metrics:
    registry, queue, threads = base.metrics, base.queue, base.threads
    telemetry = Telemetry(registry, base.registry, queue)
    breakers = breaker_gauge(registry, lambda: guarded.states)
    build_info(registry)
    broker_up = [broker_gauge(registry, broker.up).update] if broker else []
    alive_threads = thread_gauge(registry, lambda: threads.alive)
    threads.report = alive_threads.update
    sagas = SagaGauges(Bounded(partial(saga_counts, base.database, base.registry)), base.registry)
    exposition = Exposition(
        registry,
        transitions=telemetry.transitions,
        updates=[telemetry.create_series, queue.flush, breakers.update, alive_threads.update, *broker_up],
        collectors=[sagas.collect, TableGauges(base.registry).collect],
        aliases=[alias for alias in ALIASES if alias.saga in base.registry],
    )
    return Metrics(telemetry, exposition, [breakers.update, *broker_up])
