"""Measure what metrics and log add to the CPU time of one checkout.

Two applications run in one process, each on a SQLite file of its own, with the same participants. One is as in
production, the other has neither metrics nor log. Short rounds of checkouts alternate between the two; a round includes
the queued metrics and log lines of its checkouts. The median of all rounds counts, because other processes disturb
single rounds.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flask.testing import FlaskClient

from app import create_app, factory
from app.config import from_environment
from app.services import services
from app.telemetry import Telemetry
from app.telemetry.entry_queue import EntryQueue
from benchmarks.harness import Harness
from benchmarks.report import Table

MAX_RATIO = 1.05
_ROUNDS, _CHECKOUTS, _WARM_UP = 60, 20, 5


class NoTelemetry:
    """Telemetry that does nothing."""

    def __init__(self, *_: Any) -> None:
        self.transitions: dict[tuple[str, ...], Any] = {}
        self.queue = EntryQueue()

    def create_series(self) -> None: ...

    def called(self, *_: Any) -> None: ...

    def committed(self, *_: Any) -> None: ...

    def claiming(self) -> AbstractContextManager[None]:
        return nullcontext()


@dataclass(frozen=True)
class Side:
    """One of the two applications.

    flush: writes the queued metrics and log lines.
    """

    client: FlaskClient
    flush: Callable[[], None]

    def round_us(self, checkouts: int) -> float:
        """Return the CPU time of one checkout in microseconds, all threads together."""
        started = time.process_time()
        for _ in range(checkouts):
            response = self.client.post("/api/commande/checkout", json={"client_id": 4, "magasin_id": 1})
            if response.status_code != HTTPStatus.CREATED:
                raise SystemExit(f"a checkout failed: {response.text}")
        self.flush()
        return (time.process_time() - started) / checkouts * 1e6


def measure(bench: Harness) -> Table:
    url = bench.participants()
    spent: dict[bool, list[float]] = {False: [], True: []}
    with discarded_log(), ExitStack() as stack:
        sides = {silent: stack.enter_context(side(bench.file(), url, silent=silent)) for silent in (False, True)}
        for number in range(_ROUNDS + _WARM_UP):
            for silent in (True, False) if number % 2 else (False, True):
                took = sides[silent].round_us(_CHECKOUTS)
                if number >= _WARM_UP:
                    spent[silent].append(took)
    watched, silenced = statistics.median(spent[False]), statistics.median(spent[True])
    return Table(
        name="observability",
        head=("one checkout", "µs of CPU", "ratio"),
        rows=[
            ("without metrics and log", f"{silenced:,.0f}", "1.000"),
            (f"with both (at most {MAX_RATIO:g})", f"{watched:,.0f}", f"{watched / silenced:.3f}"),
        ],
    )


@contextmanager
def side(database_url: str, url: str, *, silent: bool) -> Iterator[Side]:
    settings = {"DATABASE_URL": database_url, "PARTICIPANTS_URL": url, "API_AUTH": "off"}
    made: list[Any] = []

    def telemetry(*arguments: Any) -> Any:
        made.append(NoTelemetry() if silent else Telemetry(*arguments))
        return made[0]

    without = {"Exporter": lambda *_: None} if silent else {}
    with patch.multiple(factory, Telemetry=telemetry, **without):
        application = create_app(from_environment(settings))
    services(application).runner.start()
    yield Side(application.test_client(), made[0].queue.flush)
    services(application).runner.stop()


@contextmanager
def discarded_log() -> Iterator[None]:
    """Let the log lines be written to /dev/null: writing them is part of the cost."""
    with Path(os.devnull).open("w") as nowhere, patch.object(sys, "stdout", nowhere):
        yield
