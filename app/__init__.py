"""The saga orchestrator as a Flask application: `create_app` puts its parts together."""

import os
import random
import socket
import threading
from functools import partial

from flask import Flask
from flask_migrate import Migrate

from app import access, admin, failpoints
from app.api import checkout, commandes, definitions, diagrams, docs, health, limit, problems, sagas
from app.breaker import BreakerPolicy
from app.broker import Broker
from app.cli import saga
from app.config import Config, from_environment
from app.engine.calls import Calls
from app.engine.engine import Engine
from app.engine.keys import Keys
from app.engine.pulse import Pulse
from app.engine.runner import Runner
from app.engine.service import SagaService
from app.fleeting import Fleeting
from app.logs import configure_logging
from app.metrics import Telemetry
from app.metrics.breakers import Breakers
from app.metrics.exposition import Exporter, Exposition
from app.metrics.gauges import Gauges
from app.participants.client import Participants
from app.participants.guard import GuardedSender
from app.store.database import db, engine_options, make_durable
from app.store.gauges import read
from app.store.leases import Leases
from app.store.replicas import Replicas
from app.store.sagas import SagaStore
from app.traces import Traces
from machines.registry import Registry, discover

#: No start request of any saga is larger.
LARGEST_REQUEST_BYTES = 256 * 1024


def create_app(config: Config | None = None, registry: Registry | None = None) -> Flask:
    """Make the service, by default as the environment says. `app.extensions["runner"]` recovers sagas once started."""
    config = config or from_environment(os.environ)
    configure_logging(config.log_level, config.log_redact)
    registry = registry or discover()
    app = Flask(__name__)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=config.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(config.database_url, config.threads),
        MAX_CONTENT_LENGTH=LARGEST_REQUEST_BYTES,
    )
    db.init_app(app)
    Migrate(app, db)
    metrics = Exposition()
    Exporter(app, metrics)
    app.add_url_rule("/metrics/", "prometheus_metrics")  # 000 asks with the slash, 001 and 002 without
    fleeting = Fleeting(config.redis_url)
    service, runner = _engine(app, config, registry, metrics, fleeting)
    app.extensions |= {"runner": runner, "sagas": service, "registry": registry}
    app.extensions |= {"fleeting": fleeting, "metrics": metrics}
    problems.install(app)
    for contract in (health, checkout, commandes, sagas, definitions, docs, diagrams):
        app.register_blueprint(contract.blueprint)
    admin.install(app, config)
    limit.install(app, config)
    access.install(app, config)  # behind the limit, which is to spare it as well
    app.cli.add_command(saga)
    return app


def _engine(
    app: Flask, config: Config, registry: Registry, metrics: Exposition, fleeting: Fleeting
) -> tuple[SagaService, Runner]:
    with app.app_context():
        make_durable(db.engine)
        owner = f"{socket.gethostname()}:{os.getpid()}"
        store = SagaStore(db.engine, registry, owner)
        leases = Leases(db.engine, registry, owner)
        pulse = Pulse(Replicas(db.engine, owner))
        gauges = Gauges(partial(read, db.engine), registry)
    participants = Participants(config.threads)
    if config.failpoint:
        failpoints.arm(config.failpoint, store, participants)
    called = {name for definition in registry for name in definition.participants}
    guarded = GuardedSender(participants, called, _breaker_policy(config), fleeting)
    stopping = threading.Event()
    telemetry, breakers = Telemetry(metrics, registry), Breakers(metrics, lambda: guarded.states)
    metrics.complete(rows=telemetry.rows, looks=[breakers.look], read=[gauges.collect])
    engine = Engine(
        config=config,
        store=store,
        calls=Calls(config=config, sender=guarded, telemetry=telemetry, traces=_traces()),
        telemetry=telemetry,
        actor=f"engine@{owner}",
        jitter=lambda longest_s: random.uniform(0, longest_s),  # noqa: S311  not a secret
        sleep=stopping.wait,
        stopping=stopping.is_set,
    )
    looks = guarded.learn, breakers.look
    runner = Runner(config=config, engine=engine, leases=leases, pulse=pulse, stopping=stopping, at_each_look=looks)
    broker = Broker(config.broker_url) if config.broker_url else None
    keys = Keys(store, fleeting)
    service = SagaService(config=config, registry=registry, engine=engine, runner=runner, keys=keys, broker=broker)
    return service, runner


def _traces() -> Traces:
    if "OTEL_EXPORTER_OTLP_ENDPOINT" not in os.environ:
        return Traces()
    from app.otlp import provider  # noqa: PLC0415  a tenth of a second, for those who ask for it

    return Traces(provider())


def _breaker_policy(config: Config) -> BreakerPolicy:
    return BreakerPolicy(
        failures=config.breaker_failures, open_s=config.breaker_open_s, window_s=config.breaker_window_s
    )
