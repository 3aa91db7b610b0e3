"""What counting and logging add to the CPU time of one checkout.

Two applications in one process, over SQLite files of their own and the same participants: one as it is, one without
metrics and log. Short rounds of checkouts alternate between them, each with all that is told of it later; the median of
all rounds counts, for a machine is never quite alone.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flask.testing import FlaskClient

from app import create_app, factory
from app.config import from_environment
from app.metrics import Telemetry
from app.metrics.notes import Notes
from benchmarks.report import Table
from benchmarks.rig import Rig

MOST = 0.05
_ROUNDS, _CHECKOUTS, _WARM_UP = 60, 20, 5


class Silence:
    """Telemetry that does nothing."""

    def __init__(self, *_: Any) -> None:
        self.rows: dict[tuple[str, ...], Any] = {}
        self.notes = Notes()

    def called(self, *_: Any) -> None: ...

    def committed(self, *_: Any) -> None: ...


@dataclass(frozen=True)
class Side:
    """An application that runs as in a server. settle: counts and logs what it has put off."""

    client: FlaskClient
    settle: Callable[[], None]

    def round_us(self, checkouts: int) -> float:
        """Give the CPU time of one checkout, of all threads, in microseconds."""
        begun = time.process_time()
        for _ in range(checkouts):
            answer = self.client.post("/api/commande/checkout", json={"client_id": 4, "magasin_id": 1})
            if answer.status_code != HTTPStatus.CREATED:
                raise SystemExit(f"a checkout went wrong: {answer.text}")
        self.settle()
        return (time.process_time() - begun) / checkouts * 1e6


def measure(bench: Rig) -> Table:
    url = bench.participants()
    spent: dict[bool, list[float]] = {False: [], True: []}
    with quiet(), ExitStack() as stack:
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
            (f"with both (at most {1 + MOST:g})", f"{watched:,.0f}", f"{watched / silenced:.3f}"),
        ],
    )


@contextmanager
def side(database_url: str, url: str, *, silent: bool) -> Iterator[Side]:
    settings = {"DATABASE_URL": database_url, "PARTICIPANTS_URL": url, "API_AUTH": "off"}
    made: list[Any] = []

    def telemetry(*arguments: Any) -> Any:
        made.append(Silence() if silent else Telemetry(*arguments))
        return made[0]

    without = {"Exporter": lambda *_: None} if silent else {}
    with patch.multiple(factory, Telemetry=telemetry, **without):
        application = create_app(from_environment(settings))
    application.extensions["runner"].start()
    yield Side(application.test_client(), made[0].notes.settle)
    application.extensions["runner"].stop()


@contextmanager
def quiet() -> Iterator[None]:
    """Let the log be written, to where nobody reads it."""
    with Path(os.devnull).open("w") as nowhere, patch.object(sys, "stdout", nowhere):
        yield
