"""Builds the parts of the service and connects them: the only module that knows all of them."""

import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from flask.json.provider import JSONProvider
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine as Database

from app import access, admin, failpoints, notice_settings
from app.access import browser_policy
from app.access.address import install_rate_limit, trust_proxies
from app.access.api_keys import KeyRing
from app.access.key_limits import Requests
from app.access.oidc import Provider
from app.api import batches as batches_api
from app.api import bulk as bulk_api
from app.api import cases as cases_api
from app.api import (
    checkout,
    clients,
    commandes,
    definitions,
    diagrams,
    docs,
    events,
    health,
    problems,
    replay,
    replies,
    sagas,
    signals,
)
from app.api import participants as participants_api
from app.api import schedules as schedules_api
from app.api import webhooks as webhooks_api
from app.api.metrics import Exporter
from app.breaker import BreakerPolicy
from app.broker import Broker
from app.calls.breakers import GuardedSender
from app.calls.client import HttpClient
from app.calls.health import RecordingSender
from app.calls.limits import LimitedSender
from app.calls.pauses import PausingSender
from app.cli import saga
from app.cli.migrate import MigrateCommand
from app.config import (
    OTEL_ENDPOINT,
    Config,
    check_callbacks,
    check_data_key,
    check_participants,
    check_webhooks,
    from_environment,
    read_tables,
)
from app.engine.answers import Answers
from app.engine.batch import Batches
from app.engine.bulk import BulkJobs
from app.engine.calls import Calls
from app.engine.drafts import Drafts
from app.engine.engine import Engine
from app.engine.heartbeat import Heartbeat
from app.engine.idempotency import Keys
from app.engine.pauses import Pauses
from app.engine.questions import Questions
from app.engine.retention import Retention
from app.engine.runner import Runner
from app.engine.schedules import Schedules
from app.engine.service import SagaService
from app.engine.shares import Shares
from app.events.deliverer import THREADS, Deliverer, Receiver
from app.events.end_calls import end_call_receivers
from app.events.event_threads import IN_MEMORY, EventThreads
from app.events.intake import Intake
from app.events.relay import Relay
from app.events.topics import Publisher
from app.events.webhooks import webhook_receivers
from app.logs import Secrets, configure_logging, name_instance
from app.notices.channels import Channels
from app.notices.notifier import Notifier
from app.notices.subjects import subjects
from app.participant_settings.model import ParticipantSettings
from app.service_threads import ServiceThreads
from app.services import Services
from app.shared_cache import SharedCache
from app.store import queries
from app.store.accounts import Users
from app.store.api_keys import ApiKeys
from app.store.arrivals import Arrivals
from app.store.audit import use_key
from app.store.audit_anchors import Anchors
from app.store.bulk import BulkStore
from app.store.children import Children
from app.store.data_keys import DataKeys
from app.store.database import db
from app.store.database import install as install_database
from app.store.database_health import Bounded, schema
from app.store.dead_letters import DeadLetters
from app.store.deliveries import Deliveries
from app.store.erasure import Erasure
from app.store.figures import SharedFigures
from app.store.leases import Leases, Replicas
from app.store.login_attempts import LoginAttempts
from app.store.notices import Notices
from app.store.outbox import Outbox
from app.store.participants import ParticipantStore
from app.store.sagas import SagaStore
from app.store.schedules import ScheduleStore
from app.store.statements import Connections
from app.store.statistics import saga_counts
from app.store.tables import Tables
from app.store.turns import Turns
from app.telemetry import Telemetry
from app.telemetry.aliases import ALIASES
from app.telemetry.entry_queue import EntryQueue
from app.telemetry.exposition import Exposition
from app.telemetry.process_gauges import breaker_gauge, broker_gauge, build_info, thread_gauge
from app.telemetry.refusals import RefusedSenders
from app.telemetry.saga_gauges import SagaGauges
from app.telemetry.table_gauges import TableGauges
from app.traces import Traces
from app.values import LARGEST_CONTENT, read_back, written
from app.views.schedules import checked_data
from app.webhook_settings.model import Webhooks
from machines.checkout import CHECKOUT
from machines.commande import COMMANDE
from machines.families import Families
from machines.registry import Registry
from machines.waits import Waits


class _Application(Flask):
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function unchanged: no view is a coroutine. Flask would check this eight times per request."""
        return func


class _OrjsonProvider(JSONProvider):
    """Makes `jsonify` and the template filter `tojson` keep numbers exact, and ten times as fast."""

    def dumps(self, obj: Any, **_options: Any) -> str:
        return written(obj).decode()

    def loads(self, s: str | bytes, **_options: Any) -> Any:
        return read_back(s)


def make(config: Config | None, registry: Registry | None) -> Flask:
    """Build the service, see `app.create_app`."""
    config = config or from_environment(os.environ)
    configure_logging(config.log_level, config.log_redact)
    registry = registry or read_tables(config)
    participants, webhooks = check_participants(config, registry), check_webhooks(config, registry)
    check_callbacks(config, registry)
    check_data_key(config, registry)
    app = _Application(__name__)
    app.json = _OrjsonProvider(app)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_CONTENT
    if config.trusted_proxies:
        trust_proxies(app, config.trusted_proxies)
    install_database(app, config)
    threads = ServiceThreads()
    metrics, queue = CollectorRegistry(), EntryQueue(threads)
    Exporter(app, metrics, queue)
    shared_cache = SharedCache(config.redis_url, config.secret_key)
    committed, owner = _Committed(), new_owner()
    name_instance(owner)
    with app.app_context():
        database = db.engine
    api_keys = KeyRing(ApiKeys(database), registry.names, Requests(shared_cache))
    engine, service, batches, schedules, pauses, runner, exposition = _engine(
        app, config, registry, participants, webhooks, metrics, queue, shared_cache, committed, owner, threads, api_keys
    )
    event_threads = _event_threads(
        app, config, registry, webhooks, metrics, engine, service, runner, committed, owner, threads
    )
    bulk_jobs = BulkJobs(BulkStore(database), service, owner, runner.stopping)
    retention = _retention(app, config, database, bulk_jobs.store, metrics, runner)
    notifier = _notifier(app, config, registry, database, runner)
    Services(
        registry=registry,
        participants=participants,
        webhooks=webhooks,
        deliveries=Deliveries(database, owner),
        sagas=service,
        answers=Answers(config, registry, engine, runner),
        questions=Questions(engine=engine, database=database),
        batches=batches,
        schedules=schedules,
        pauses=pauses,
        bulk_jobs=bulk_jobs,
        bulk_thread=threads.add("bulk", bulk_jobs.run, runner.stopping),
        notifier=notifier,
        notifier_thread=threads.add("notices", notifier.run, runner.stopping) if notifier else None,
        data_keys=engine.store.keys,
        erasure=Erasure(database, registry),
        retention=retention,
        retention_thread=threads.add("retention", retention.run, runner.stopping) if retention else None,
        participant_store=ParticipantStore(database),
        runner=runner,
        events=event_threads,
        threads=threads,
        shared_cache=shared_cache,
        metrics=exposition,
        schema=Bounded(partial(schema, database)),
        users=Users(database),
        provider=Provider(config) if config.oidc_issuer else None,
        login_attempts=LoginAttempts(database),
        refused_senders=RefusedSenders(metrics),
        api_keys=api_keys,
        heat=SharedFigures(diagrams.FIGURES_S),
        rates=SharedFigures(diagrams.FIGURES_S),
        redact=Secrets(config.log_redact).redacted,
        links=config.links,
        release=config.release,
    ).install(app)
    problems.install(app)
    for module in (
        health, sagas, replay, batches_api, signals, replies, schedules_api, participants_api, bulk_api, cases_api,
        events, webhooks_api, definitions, docs, diagrams, clients,
    ):  # fmt: skip
        app.register_blueprint(module.blueprint)
    sagas.add_starts(app, registry)
    batches_api.add_batches(app, registry)
    signals.add_signals(app, registry)
    for table, contract in ((CHECKOUT, checkout), (COMMANDE, commandes)):
        if table in registry:  # a reference contract is served only with its table
            app.register_blueprint(contract.blueprint)
    admin.install(app, otherwise=problems.answer_to)
    if config.rate_limit:
        install_rate_limit(app, config)
    if config.cors_origins:
        browser_policy.install_cors(app, config.cors_origins)
    access.install(app, config)  # after the rate limit, so that the limit also protects the check of passwords and keys
    app.cli.add_command(saga)
    app.cli.add_command(MigrateCommand("db", help="Bring the database up to date."))
    return app


@dataclass(frozen=True)
class _Committed:
    """Signals to threads of this process: it has committed an event of a saga, or a message to a webhook."""

    event: threading.Event = field(default_factory=threading.Event)
    delivery: threading.Event = field(default_factory=threading.Event)


def _engine(  # noqa: PLR0917  connects parts that are built already
    app: Flask, config: Config, registry: Registry, participants: Mapping[str, ParticipantSettings],
    webhooks: Webhooks, metrics: CollectorRegistry, queue: EntryQueue, shared_cache: SharedCache,
    committed: _Committed, owner: str, threads: ServiceThreads, api_keys: KeyRing,
) -> tuple[Engine, SagaService, Batches, Schedules, Pauses, Runner, Exposition]:  # fmt: skip
    with app.app_context():
        use_key(db.engine, config.audit_key)
        anchor_file = Path(config.audit_anchor_file) if config.audit_anchor_file else None
        anchors = [Anchors(db.engine, anchor_file, time.monotonic).write_due] if anchor_file else []
        keys_of_data = DataKeys(db.engine, config.data_keys)
        store = SagaStore(Connections(db.engine), registry, owner, webhooks=webhooks, keys=keys_of_data)
        leases = Leases(db.engine, registry, owner, keys=keys_of_data)
        tables = Tables(db.engine, registry, owner)
        waits = Waits(arrivals=Arrivals(db.engine, keys_of_data))
        families = Families(children=Children(db.engine, keys_of_data), registry=registry)
        pauses, replicas = (
            Pauses(ParticipantStore(db.engine), on_end=lambda: runner.expect_due()),  # noqa: PLW0108  see on_due
            Replicas(db.engine, owner, config.database_connections, config.release),
        )
        saga_gauges = SagaGauges(Bounded(partial(saga_counts, db.engine, registry)), registry)
    client = HttpClient(config.requests + config.threads, participants=participants)
    if config.failpoint:
        failpoints.arm(config.failpoint, store, waits.arrivals, client)
    recorder = RecordingSender(client, participants)
    guarded = GuardedSender(
        recorder, participants, _breaker_policy(config), shared_cache,
        on_close=lambda: runner.expect_due(),  # noqa: PLW0108  the runner is made below
    )  # fmt: skip
    sender = PausingSender(LimitedSender(guarded, participants), pauses.holds)
    stopping = threading.Event()
    telemetry, breakers = Telemetry(metrics, registry, queue), breaker_gauge(metrics, lambda: guarded.states)
    build_info(metrics)
    broker = Broker(config.broker_url, threads) if config.broker_url else None
    broker_up = [broker_gauge(metrics, broker.up).update] if broker else []
    alive_threads = thread_gauge(metrics, lambda: threads.alive)
    threads.report = alive_threads.update
    updates = [telemetry.create_series, queue.flush, breakers.update, alive_threads.update, *broker_up]
    exposition = Exposition(
        metrics,
        transitions=telemetry.transitions,
        updates=updates,
        collectors=[saga_gauges.collect, TableGauges(registry).collect],
        aliases=[alias for alias in ALIASES if alias.saga in registry],
    )
    engine = Engine(
        config=config,
        store=store,
        calls=Calls(config=config, sender=sender, telemetry=telemetry, traces=_traces()),
        waits=waits,
        families=families,
        telemetry=telemetry,
        actor=f"engine@{owner}",
        jitter=lambda longest_s: random.uniform(0, longest_s),  # noqa: S311  not a secret
        sleep=stopping.wait,
        stopping=stopping.is_set,
        is_paused=pauses.holds,
        on_event=committed.event.set,
        on_delivery=committed.delivery.set,
        on_due=lambda: runner.announce_due(),  # noqa: PLW0108  the runner is made below
    )
    keys = Keys(store, shared_cache)
    with app.app_context():
        schedule_store = ScheduleStore(db.engine, registry, keys_of_data)
    schedules = Schedules(engine, keys, registry, tables, schedule_store, checked_data)
    drafts = Drafts(engine, leases, tables, config.draft_days)
    runner = Runner(
        config=config,
        engine=engine,
        leases=leases,
        tables=tables,
        heartbeat=Heartbeat(replicas, report=lambda: recorder.reports(guarded.breakers)),
        stopping=stopping,
        broker=broker,
        at_each_beat=(
            guarded.learn,
            pauses.learn,
            breakers.update,
            *broker_up,
            drafts.expire,
            schedules.start_due,
            api_keys.write_used,
            *anchors,
        ),
        threads=threads,
        shares=Shares(map(registry.latest, registry.names)),
    )
    service = SagaService(config=config, registry=registry, engine=engine, runner=runner, keys=keys, threads=threads)
    return engine, service, Batches(engine, runner, keys), schedules, pauses, runner, exposition


def _event_threads(  # noqa: PLR0917  connects parts that are built already
    app: Flask, config: Config, definitions: Registry, webhooks: Webhooks, metrics: CollectorRegistry,
    engine: Engine, service: SagaService, runner: Runner, committed: _Committed, owner: str, threads: ServiceThreads,
) -> EventThreads:  # fmt: skip
    url = config.broker_url or IN_MEMORY
    with app.app_context():
        outbox, dead_letters = Outbox(db.engine, owner), DeadLetters(db.engine, engine.store.keys)
        deliveries = Deliveries(db.engine, owner)
    names = {event for definition in definitions for event in definition.events.values()}
    publisher = Publisher(url, config.events_signing_secrets)
    relay = Relay(
        outbox, publisher, metrics, names=names, wake=committed.event, stopping=runner.stopping,
        secrets_of=definitions.secrets_of,
    )  # fmt: skip
    intake = Intake(service, definitions, dead_letters, metrics, runner.stopping, secrets=config.events_secrets)
    receivers: list[Receiver] = [
        *webhook_receivers(webhooks, _webhook_client(config, webhooks), definitions),
        *end_call_receivers(definitions, config, engine.calls.sender, engine.calls.traces, engine.store.keys),
    ]
    deliverer = None
    if receivers:
        deliverer = Deliverer(receivers, deliveries, metrics, wake=committed.delivery, stopping=runner.stopping)
    return EventThreads(url, relay, intake, deliverer, threads, runner.stopping)


def _notifier(app: Flask, config: Config, registry: Registry, database: Database, runner: Runner) -> Notifier | None:
    """Return what sends messages to people; None without a channel."""
    channels = notice_settings.channels(config.notify_file)
    if not channels:
        return None
    own_cas = (config.participants_ca_file,) if config.participants_ca_file else ()
    settings = {
        each.name: ParticipantSettings(url="", public_cas=config.public_cas, ca_files=own_cas) for each in channels
    }
    sender = Channels(
        HttpClient(len(channels), participants=settings),
        lambda path: f"{config.public_url}{path}" if config.public_url else "",
        ca_file=config.participants_ca_file,
    )
    redact = Secrets(config.log_redact).redacted
    return Notifier(
        channels,
        sender,
        Notices(database),
        partial(subjects, registry, ParticipantStore(database), redact),
        context=app.app_context,
        now=queries.now,
        stopping=runner.stopping,
    )


def _retention(  # noqa: PLR0917  connects parts that are built already
    app: Flask, config: Config, database: Database, bulk_jobs: BulkStore, metrics: CollectorRegistry, runner: Runner
) -> Retention | None:
    """Return what deletes old sagas; None without RETENTION_DAYS."""
    if config.retention_days is None:
        return None
    return Retention(
        config.retention_days, Turns(database), bulk_jobs, metrics, context=app.app_context, stopping=runner.stopping,
        keys_days=config.retention_keys_days,
    )  # fmt: skip


def _webhook_client(config: Config, webhooks: Webhooks) -> HttpClient:
    """Return the client for webhooks. It uses no proxy, because it must check the address of each receiver itself."""
    own_cas = (config.participants_ca_file,) if config.participants_ca_file else ()
    settings = {
        name: ParticipantSettings(url="", public_cas=config.public_cas, ca_files=own_cas) for name in webhooks.by_name
    }
    return HttpClient(THREADS, participants=settings, allows=webhooks.allows)


def new_owner() -> str:
    """Return a name for this process. No other process of the same database has this name.

    The host name and the process id are for people. They can be equal in two containers, so a random part follows.
    """
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def _traces() -> Traces:
    if not OTEL_ENDPOINT.read(os.environ):
        return Traces()
    from app.otlp import provider  # noqa: PLC0415  takes 0.1 s, so a process without traces does not import it

    return Traces(provider())


def _breaker_policy(config: Config) -> BreakerPolicy:
    return BreakerPolicy(
        failures=config.breaker_failures, open_s=config.breaker_open_s, window_s=config.breaker_window_s
    )
