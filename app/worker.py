"""The Celery worker, which runs sagas on any number of machines over the broker of BROKER_URL.

celery -A app.worker worker       runs THREADS sagas at once; any number of workers
celery -A app.worker beat         wakes a worker regularly, for sagas whose owner has died or whose wait is over

A message only saves time: each worker also claims due sagas by itself, every RECOVERY_INTERVAL_S.
"""

import os
import sys
from datetime import timedelta
from functools import cache
from typing import Any, NoReturn

import structlog
from celery import Celery
from celery.signals import setup_logging, worker_init, worker_shutdown, worker_shutting_down
from flask import Flask
from prometheus_client import start_http_server

from app import create_app
from app.broker import LOOK, make_celery
from app.config import Config, check_participants, from_environment
from app.engine.runner import Runner
from app.logs import configure_logging
from app.services import services
from app.settings import DEFAULT_HOST, ConfigError
from app.tables import read_tables

_log = structlog.get_logger("worker")


def _end(error: object) -> NoReturn:
    sys.stderr.write(f"saga: {error}\n")
    raise SystemExit(2)


def _configured() -> tuple[Config, Celery]:
    try:
        config = from_environment(os.environ)
        # Checked here as well: Celery continues after an error in its worker_init.
        check_participants(config, read_tables())
    except ConfigError as error:
        _end(error)
    if config.broker_url is None:
        _end("set BROKER_URL to the broker that brings the messages")
    celery = make_celery(config.broker_url)
    look = {"task": LOOK, "schedule": timedelta(seconds=config.recovery_interval_s)}
    # A wake-up that no worker received in time expires.
    celery.conf.beat_schedule = {LOOK: look | {"options": {"expires": max(60.0, 10 * config.recovery_interval_s)}}}
    celery.conf.beat_scheduler = "celery.beat:Scheduler"  # in memory: there is no state to keep
    return config, celery


config, celery = _configured()


@cache
def application() -> Flask:
    return create_app(config)


def runner() -> Runner:
    made: Runner = services(application()).runner
    return made


@celery.task(name=LOOK)
def look() -> None:
    """Claim due sagas."""
    runner().wake()


@setup_logging.connect
def _log_alike(**_: Any) -> None:
    """Write Celery's own warnings as JSON lines."""
    configure_logging(config.log_level, config.log_redact)


@worker_init.connect
def _begin(**_: Any) -> None:
    """Start the runner before the first message and its thread, so that there is one runner, listed as a replica."""
    try:
        if config.metrics_port:
            host = os.environ.get("HOST") or DEFAULT_HOST
            start_http_server(config.metrics_port, host, registry=services(application()).metrics)
        runner().patience_s = 0.0
        runner().start()
        services(application()).events.start()
    except ConfigError as error:  # sagas run by another table
        _end(error)
    except Exception as error:  # noqa: BLE001  Celery would continue without the runner
        _log.exception("worker.cannot_begin")
        _end(error)


@worker_shutting_down.connect
def _hand_back(**_: Any) -> None:
    """Let each saga finish its call and release it."""
    runner().stopping.set()


@worker_shutdown.connect
def _leave(**_: Any) -> None:
    runner().stop()
    services(application()).events.join()
