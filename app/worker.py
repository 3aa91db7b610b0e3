"""The Celery worker, which runs sagas without serving the API. Its messages come from the broker of BROKER_URL.

celery -A app.worker worker       runs up to THREADS sagas at once; there can be any number of workers
celery -A app.worker beat         wakes a worker regularly, for sagas whose owner has died or whose wait is over

A message only saves time, because each worker also claims due sagas every RECOVERY_INTERVAL_S.
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
from app.broker import WAKE_UP, make_celery
from app.config import Config, check_participants, check_webhooks, from_environment, read_tables
from app.engine.runner import Runner
from app.logs import configure_logging
from app.memory import give_back_large_blocks
from app.services import services
from app.settings import HOST, ConfigError

_log = structlog.get_logger("worker")


def _exit(error: object) -> NoReturn:
    sys.stderr.write(f"saga: {error}\n")
    raise SystemExit(2)


def _configured() -> tuple[Config, Celery]:
    try:
        config = from_environment(os.environ)
        # These checks are here, because Celery ignores errors of `worker_init`, where the application makes them again.
        registry = read_tables(config)
        check_participants(config, registry)
        check_webhooks(config, registry)
    except ConfigError as error:
        _exit(error)
    if config.broker_url is None:
        _exit("set BROKER_URL to the broker that brings the messages")
    celery = make_celery(config.broker_url)
    wake_up = {"task": WAKE_UP, "schedule": timedelta(seconds=config.recovery_interval_s)}
    # Each message expires after a while, so that messages do not pile up while there is no worker.
    celery.conf.beat_schedule = {
        WAKE_UP: wake_up | {"options": {"expires": max(60.0, 10 * config.recovery_interval_s)}}
    }
    celery.conf.beat_scheduler = "celery.beat:Scheduler"  # this scheduler keeps no state in a file
    return config, celery


config, celery = _configured()


@cache
def application() -> Flask:
    return create_app(config)


def runner() -> Runner:
    found: Runner = services(application()).runner
    return found


@celery.task(name=WAKE_UP)
def wake() -> None:
    """Wake the runner, so that it claims due sagas."""
    runner().wake()


@setup_logging.connect
def _configure_logging(**_: Any) -> None:
    """Write Celery's own warnings as JSON lines, as the service does."""
    configure_logging(config.log_level, config.log_redact)


@worker_init.connect
def _start_runner(**_: Any) -> None:
    """Start the runner before the first message arrives, so that the process is listed as a replica at once."""
    give_back_large_blocks()
    try:
        if config.metrics_port:
            start_http_server(config.metrics_port, HOST.read(os.environ), registry=services(application()).metrics)
        runner().become_worker()
        runner().start()
        services(application()).events.start()
        services(application()).bulk_thread.start()
        if notifier := services(application()).notifier_thread:
            notifier.start()
        if retention := services(application()).retention_thread:
            retention.start()
    except ConfigError as error:  # a table was edited although unfinished sagas use it
        _exit(error)
    except Exception as error:  # noqa: BLE001  Celery would continue without the runner
        _log.exception("worker.cannot_begin")
        _exit(error)


@worker_shutting_down.connect
def _release_sagas(**_: Any) -> None:
    """Make the runner release each saga after its current call."""
    runner().stopping.set()


@worker_shutdown.connect
def _stop_runner(**_: Any) -> None:
    runner().stop()
    services(application()).events.join()
    services(application()).bulk_thread.join()
    if notifier := services(application()).notifier_thread:
        notifier.join()
    if retention := services(application()).retention_thread:
        retention.join()
