"""Builds the Flask application and connects it with the parts of the service, see `app.assembly`."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Flask
from flask.json.provider import JSONProvider
from prometheus_client import CollectorRegistry

from app import access, admin
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
from app.assembly.base import Base, new_owner
from app.assembly.messages import make_event_threads, make_notifier
from app.assembly.sagas import make_sagas
from app.cli import saga
from app.cli.migrate import MigrateCommand
from app.config import (
    Config,
    check_callbacks,
    check_data_key,
    check_participants,
    check_webhooks,
    from_environment,
    read_tables,
)
from app.engine.answers import Answers
from app.engine.bulk import BulkJobs
from app.engine.questions import Questions
from app.engine.retention import Retention
from app.logs import Secrets, configure_logging, name_instance
from app.service_threads import ServiceThreads
from app.services import Services
from app.shared_cache import SharedCache
from app.store.accounts import Users
from app.store.api_keys import ApiKeys
from app.store.audit import use_key
from app.store.bulk import BulkStore
from app.store.data_keys import DataKeys
from app.store.database import db
from app.store.database import install as install_database
from app.store.database_health import Bounded, schema
from app.store.deliveries import Deliveries
from app.store.erasure import Erasure
from app.store.figures import SharedFigures
from app.store.login_attempts import LoginAttempts
from app.store.participants import ParticipantStore
from app.store.turns import Turns
from app.telemetry.entry_queue import EntryQueue
from app.telemetry.refusals import RefusedSenders
from app.values import LARGEST_CONTENT, read_back, written
from machines.checkout import CHECKOUT
from machines.commande import COMMANDE
from machines.registry import Registry


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
    base = _base(config, registry)
    _services(base).install(base.app)
    _add_routes(base.app, registry)
    _protect(base.app, config)
    base.app.cli.add_command(saga)
    base.app.cli.add_command(MigrateCommand("db", help="Bring the database up to date."))
    return base.app


def _base(config: Config, registry: Registry) -> Base:
    """Check the settings against the tables, and build the Flask application and what all parts are built from."""
    participants, webhooks = check_participants(config, registry), check_webhooks(config, registry)
    check_callbacks(config, registry)
    check_data_key(config, registry)
    app = _Application(__name__)
    app.json = _OrjsonProvider(app)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_CONTENT
    if config.trusted_proxies:
        trust_proxies(app, config.trusted_proxies)
    install_database(app, config)
    threads, metrics = ServiceThreads(), CollectorRegistry()
    queue = EntryQueue(threads)
    Exporter(app, metrics, queue)
    shared_cache = SharedCache(config.redis_url, config.secret_key)
    owner = new_owner()
    name_instance(owner)
    with app.app_context():
        database = db.engine
    use_key(database, config.audit_key)
    return Base(
        app=app,
        config=config,
        registry=registry,
        participants=participants,
        webhooks=webhooks,
        database=database,
        data_keys=DataKeys(database, config.data_keys),
        api_keys=KeyRing(ApiKeys(database), registry.names, Requests(shared_cache)),
        shared_cache=shared_cache,
        metrics=metrics,
        queue=queue,
        threads=threads,
        owner=owner,
    )


def _services(base: Base) -> Services:
    config, registry, database, threads = base.config, base.registry, base.database, base.threads
    parts = make_sagas(base)
    bulk_jobs = BulkJobs(BulkStore(database), parts.service, base.owner, base.stopping)
    retention = _retention(base, bulk_jobs.store)
    notifier = make_notifier(base)
    return Services(
        registry=registry,
        participants=base.participants,
        webhooks=base.webhooks,
        deliveries=Deliveries(database, base.owner),
        sagas=parts.service,
        answers=Answers(config, registry, parts.engine, parts.runner),
        questions=Questions(engine=parts.engine, database=database),
        batches=parts.batches,
        schedules=parts.schedules,
        pauses=parts.pauses,
        bulk_jobs=bulk_jobs,
        bulk_thread=threads.add("bulk", bulk_jobs.run, base.stopping),
        notifier=notifier,
        notifier_thread=threads.add("notices", notifier.run, base.stopping) if notifier else None,
        data_keys=base.data_keys,
        erasure=Erasure(database, registry),
        retention=retention,
        retention_thread=threads.add("retention", retention.run, base.stopping) if retention else None,
        participant_store=ParticipantStore(database),
        runner=parts.runner,
        events=make_event_threads(base, parts),
        threads=threads,
        shared_cache=base.shared_cache,
        metrics=parts.exposition,
        schema=Bounded(partial(schema, database)),
        users=Users(database),
        provider=Provider(config) if config.oidc_issuer else None,
        login_attempts=LoginAttempts(database),
        refused_senders=RefusedSenders(base.metrics),
        api_keys=base.api_keys,
        heat=SharedFigures(diagrams.FIGURES_S),
        rates=SharedFigures(diagrams.FIGURES_S),
        redact=Secrets(config.log_redact).redacted,
        links=config.links,
        release=config.release,
    )


def _retention(base: Base, bulk_jobs: BulkStore) -> Retention | None:
    """Return what deletes old sagas; None without RETENTION_DAYS."""
    config = base.config
    if config.retention_days is None:
        return None
    return Retention(
        config.retention_days, Turns(base.database), bulk_jobs, base.metrics,
        context=base.app.app_context, stopping=base.stopping, keys_days=config.retention_keys_days,
    )  # fmt: skip


def _add_routes(app: Flask, registry: Registry) -> None:
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


def _protect(app: Flask, config: Config) -> None:
    if config.rate_limit:
        install_rate_limit(app, config)
    if config.cors_origins:
        browser_policy.install_cors(app, config.cors_origins)
    access.install(app, config)  # after the rate limit, so that the limit also protects the check of passwords and keys
