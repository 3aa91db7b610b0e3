"""Measure where the time of one order goes.

One client runs in the server's own process. The timed functions are patched to add up their duration.
"""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any
from unittest.mock import patch

from flask.testing import FlaskClient

from app.calls.client import HttpClient
from app.engine.service import SagaService
from app.services import services
from app.store.statements import Statement
from app.telemetry.entry_queue import EntryQueue
from benchmarks.contenders.saga import make_application
from benchmarks.harness import Harness, settings
from benchmarks.observability import discarded_log
from benchmarks.report import Table
from machines.machine import SagaMachine

ORDERS, WARM_UP = 1000, 200
SAGA, DEFERRED = "the whole saga", "metrics and log, after the response (CPU)"
PARTS: dict[str, tuple[type, str]] = {
    SAGA: (SagaService, "start"),
    "HTTP: four calls": (HttpClient, "send"),
    "SQL: five commits": (Statement, "run"),
    "machine: four moves": (SagaMachine, "fire"),
    "metrics and log: nine entries": (EntryQueue, "add"),
}


def measure(bench: Harness) -> Table:
    application = make_application(settings(bench.database(), bench.responder()))
    client = application.test_client()
    spent: Counter[str] = Counter()
    services(application).runner.start()
    with discarded_log(), ExitStack() as stack:
        _orders(client, WARM_UP)
        for part, (owner, name) in PARTS.items():
            stack.enter_context(patch.object(owner, name, _timed(getattr(owner, name), spent, part, time.perf_counter)))
        flush = _timed(EntryQueue.flush, spent, DEFERRED, time.thread_time)
        stack.enter_context(patch.object(EntryQueue, "flush", flush))
        started = time.perf_counter()
        _orders(client, ORDERS)
        whole = time.perf_counter() - started
        services(application).runner.stop()
    saga, queue = spent.pop(SAGA), spent.pop(DEFERRED)
    rest = {
        "the engine between them": saga - sum(spent.values()),
        "Flask, and the client": whole - saga,
        DEFERRED: queue,
    }
    return Table(
        name="breakdown",
        head=("one order, alone", "µs", "share"),
        rows=[(part, f"{took / ORDERS * 1e6:,.0f}", f"{took / whole:.0%}") for part, took in (spent | rest).items()],
    )


def _orders(client: FlaskClient, number: int) -> None:
    for _ in range(number):
        response = client.post("/order", json={"customer": "Ada", "amount": 12})
        assert response.status_code == HTTPStatus.OK, response.text


def _timed(
    function: Callable[..., Any], spent: Counter[str], part: str, clock: Callable[[], float]
) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        started = clock()
        try:
            return function(*arguments, **named)
        finally:
            spent[part] += clock() - started  # type: ignore[assignment]

    return call
