"""Where the time of one order goes: a single client in the server's own process, each part timed as it is called."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any
from unittest.mock import patch

from flask.testing import FlaskClient

from app.engine.service import SagaService
from app.metrics.notes import Notes
from app.participants.client import Participants
from app.store.statements import Statement
from benchmarks.contenders.saga import make_application
from benchmarks.observability import quiet
from benchmarks.report import Table
from benchmarks.rig import Rig, settings
from machines.machine import SagaMachine

ORDERS, WARM_UP = 1000, 200
SAGA, LATER = "the whole saga", "metrics and log, told later (CPU)"
PARTS: dict[str, tuple[type, str]] = {
    SAGA: (SagaService, "start"),
    "HTTP: four calls": (Participants, "send"),
    "SQL: five commits": (Statement, "run"),
    "machine: four moves": (SagaMachine, "fire"),
    "metrics and log: nine notes": (Notes, "note"),
}


def measure(bench: Rig) -> Table:
    application = make_application(settings(bench.database(), bench.responder()))
    client = application.test_client()
    spent: Counter[str] = Counter()
    application.extensions["runner"].start()
    with quiet(), ExitStack() as stack:
        _orders(client, WARM_UP)
        for part, (owner, name) in PARTS.items():
            stack.enter_context(patch.object(owner, name, _timed(getattr(owner, name), spent, part, time.perf_counter)))
        told = _timed(Notes.settle, spent, LATER, time.thread_time)
        stack.enter_context(patch.object(Notes, "settle", told))
        began = time.perf_counter()
        _orders(client, ORDERS)
        whole = time.perf_counter() - began
        application.extensions["runner"].stop()
    saga, later = spent.pop(SAGA), spent.pop(LATER)
    rest = {"the engine between them": saga - sum(spent.values()), "Flask, and the client": whole - saga, LATER: later}
    return Table(
        name="apart",
        head=("one order, alone", "µs", "share"),
        rows=[(part, f"{took / ORDERS * 1e6:,.0f}", f"{took / whole:.0%}") for part, took in (spent | rest).items()],
    )


def _orders(client: FlaskClient, number: int) -> None:
    for _ in range(number):
        answer = client.post("/order", json={"customer": "Ada", "amount": 12})
        assert answer.status_code == HTTPStatus.OK, answer.text


def _timed(
    function: Callable[..., Any], spent: Counter[str], part: str, clock: Callable[[], float]
) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        began = clock()
        try:
            return function(*arguments, **named)
        finally:
            spent[part] += clock() - began  # type: ignore[assignment]

    return call
