"""The saga orchestrator as a Flask application: `create_app` puts its parts together."""

import logging
import os
import random
import socket

import structlog
from flask import Flask
from flask_migrate import Migrate
from prometheus_client import CollectorRegistry
from prometheus_flask_exporter import PrometheusMetrics

from app import failpoints
from app.api import checkout, commandes, definitions, diagrams, docs, health, problems, sagas
from app.cli import saga
from app.config import Config, from_environment
from app.engine.engine import Engine
from app.engine.runner import Runner
from app.engine.service import SagaService
from app.metrics import Telemetry
from app.participants.client import Participants
from app.store.database import db, engine_options, make_durable
from app.store.sagas import SagaStore
from machines.registry import Registry, discover

#: No start request of any saga is larger.
LARGEST_REQUEST_BYTES = 256 * 1024


def create_app(config: Config | None = None, registry: Registry | None = None) -> Flask:
    """Make the service, by default as the environment says. `app.extensions["runner"]` recovers sagas once started."""
    config = config or from_environment(os.environ)
    _configure_logging(config.log_level)
    registry = registry or discover()
    app = Flask(__name__)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=config.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(config.database_url, config.threads),
        MAX_CONTENT_LENGTH=LARGEST_REQUEST_BYTES,
    )
    db.init_app(app)
    Migrate(app, db)
    metrics = CollectorRegistry()
    PrometheusMetrics(app, group_by="url_rule", registry=metrics)
    app.add_url_rule("/metrics/", "prometheus_metrics")  # 000 asks with the slash, 001 and 002 without
    runner, service = _engine(app, config, registry, metrics)
    app.extensions |= {"runner": runner, "sagas": service, "registry": registry}
    problems.install(app)
    for contract in (health, checkout, commandes, sagas, definitions, docs, diagrams):
        app.register_blueprint(contract.blueprint)
    app.cli.add_command(saga)
    return app


def _engine(app: Flask, config: Config, registry: Registry, metrics: CollectorRegistry) -> tuple[Runner, SagaService]:
    with app.app_context():
        make_durable(db.engine)
        owner = f"{socket.gethostname()}:{os.getpid()}"
        store = SagaStore(db.engine, registry, owner)
    participants = Participants(config.threads)
    if config.failpoint:
        failpoints.arm(config.failpoint, store, participants)
    engine = Engine(
        config=config,
        store=store,
        participants=participants,
        telemetry=Telemetry(metrics),
        actor=f"engine@{owner}",
        jitter=lambda longest_s: random.uniform(0, longest_s),  # noqa: S311  not a secret
    )
    runner = Runner(config, engine, store)
    return runner, SagaService(config, registry, store, engine, runner)


def _configure_logging(level: str) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        cache_logger_on_first_use=False,
    )
