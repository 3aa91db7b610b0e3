"""The parts that store, run and start sagas."""

import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app import failpoints
from app.assembly.base import Base
from app.assembly.metrics import make_metrics
from app.assembly.senders import Senders, make_senders
from app.broker import Broker
from app.config import OTEL_ENDPOINT
from app.engine.batch import Batches
from app.engine.calls import Calls
from app.engine.drafts import Drafts
from app.engine.engine import Engine
from app.engine.heartbeat import Heartbeat
from app.engine.idempotency import Keys
from app.engine.pauses import Pauses
from app.engine.runner import Runner
from app.engine.schedules import Schedules
from app.engine.service import SagaService
from app.engine.shares import Shares
from app.store.arrivals import Arrivals
from app.store.audit_anchors import Anchors
from app.store.children import Children
from app.store.leases import Leases, Replicas
from app.store.sagas import SagaStore
from app.store.schedules import ScheduleStore
from app.store.statements import Connections
from app.store.tables import Tables
from app.telemetry import Telemetry
from app.telemetry.exposition import Exposition
from app.traces import Traces
from app.views.schedules import checked_data
from machines.families import Families
from machines.waits import Waits


@dataclass(frozen=True, kw_only=True)
class Sagas:
    """The parts that others need."""

    engine: Engine
    runner: Runner
    service: SagaService
    batches: Batches
    schedules: Schedules
    pauses: Pauses
    exposition: Exposition


def make_sagas(base: Base) -> Sagas:
    config, registry, database = base.config, base.registry, base.database
    senders = make_senders(base, on_due=lambda: runner.expect_due())  # noqa: PLW0108  the runner is made below
    broker = Broker(config.broker_url, base.threads) if config.broker_url else None
    metrics = make_metrics(base, senders.guarded, broker)
    engine = _engine(base, senders, metrics.telemetry, on_due=lambda: runner.announce_due())  # noqa: PLW0108  as above
    keys = Keys(engine.store, base.shared_cache)
    leases = Leases(database, registry, base.owner, keys=base.data_keys)
    tables = Tables(database, registry, base.owner)
    schedule_store = ScheduleStore(database, registry, base.data_keys)
    schedules = Schedules(engine, keys, registry, tables, schedule_store, checked_data)
    drafts = Drafts(engine, leases, tables, config.draft_days)
    replicas = Replicas(database, base.owner, config.database_connections, config.release)
    runner = Runner(
        config=config,
        engine=engine,
        leases=leases,
        tables=tables,
        heartbeat=Heartbeat(replicas, report=lambda: senders.recorder.reports(senders.guarded.breakers)),
        stopping=base.stopping,
        broker=broker,
        at_each_beat=(
            senders.guarded.learn,
            senders.pauses.learn,
            *metrics.at_each_beat,
            drafts.expire,
            schedules.start_due,
            base.api_keys.write_used,
            *_anchors(base),
        ),
        threads=base.threads,
        shares=Shares(map(registry.latest, registry.names)),
    )
    return Sagas(
        engine=engine,
        runner=runner,
        service=SagaService(
            config=config, registry=registry, engine=engine, runner=runner, keys=keys, threads=base.threads
        ),
        batches=Batches(engine, runner, keys),
        schedules=schedules,
        pauses=senders.pauses,
        exposition=metrics.exposition,
    )


def _engine(base: Base, senders: Senders, telemetry: Telemetry, on_due: Callable[[], None]) -> Engine:
    config, database = base.config, base.database
    connections = Connections(database)
    store = SagaStore(connections, base.registry, base.owner, webhooks=base.webhooks, keys=base.data_keys)
    waits = Waits(arrivals=Arrivals(database, base.data_keys))
    if config.failpoint:
        failpoints.arm(config.failpoint, store, waits.arrivals, senders.client)
    return Engine(
        config=config,
        store=store,
        calls=Calls(config=config, sender=senders.first, telemetry=telemetry, traces=_traces()),
        waits=waits,
        families=Families(children=Children(database, base.data_keys), registry=base.registry),
        telemetry=telemetry,
        actor=f"engine@{base.owner}",
        jitter=lambda longest_s: random.uniform(0, longest_s),  # noqa: S311  not a secret
        sleep=base.stopping.wait,
        stopping=base.stopping.is_set,
        is_paused=senders.pauses.holds,
        on_event=base.committed.event.set,
        on_delivery=base.committed.delivery.set,
        on_due=on_due,
    )


def _anchors(base: Base) -> Sequence[Callable[[], None]]:
    """Return what writes the head of the audit trail to the file of anchors; empty without a file."""
    file = base.config.audit_anchor_file
    return [Anchors(base.database, Path(file), time.monotonic).write_due] if file else []


def _traces() -> Traces:
    if not OTEL_ENDPOINT.read(os.environ):
        return Traces()
    from app.otlp import provider  # noqa: PLC0415  takes 0.1 s, so a process without traces does not import it

    return Traces(provider())
