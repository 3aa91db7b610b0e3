"""Compare the orders per second of the orchestrator with those of its alternatives.

Every contender runs on the same WSGI server and calls the same participants, which answer at once. The contenders take
turns for several rounds. Each round starts with another contender, and the medians count. The orchestrator runs with
metrics, log and validation, as in production.
"""

import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from benchmarks import restate
from benchmarks.harness import Harness, Server, settings
from benchmarks.report import Table

CONNECTIONS = (1, 16)
ROUNDS, SECONDS, WARM_UP_S = 5, 5.0, 1.0


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A contender.

    module: the module in benchmarks.contenders.
    on_sqlite: use a SQLite file, and therefore one process only.
    """

    name: str
    module: str
    on_sqlite: bool = False


BY_HAND = Contender(name="a loop by hand, one statement a step", module="handwritten")
CONTENDERS = (
    Contender(name="bare calls, nothing durable", module="bare"),
    BY_HAND,
    Contender(name="DBOS 3.4", module="dbos"),
    *([Contender(name="Restate 1.7, on its own disk", module="restate")] if restate.INSTALLED else []),
    Contender(name="ours", module="ours"),
    Contender(name="ours on SQLite, one process", module="ours", on_sqlite=True),
)


def measure(bench: Harness, contenders: tuple[Contender, ...] = CONTENDERS, rounds: int = ROUNDS) -> Table:
    found: dict[tuple[Contender, int], list[tuple[float, float]]] = defaultdict(list)
    responder = bench.responder()
    environments = {
        contender: settings(bench.file() if contender.on_sqlite else bench.database(), responder)
        for contender in contenders
    }
    for number in range(rounds):
        sys.stderr.write(f"  round {number + 1} of {rounds}\n")
        for contender in (*contenders[number % len(contenders) :], *contenders[: number % len(contenders)]):
            bench.settle()
            with _served(bench, contender, environments[contender]) as server:
                bench.load(server.url, max(CONNECTIONS), WARM_UP_S)
                for connections in CONNECTIONS:
                    durations = bench.load(server.url, connections, SECONDS)
                    result = (len(durations) / SECONDS, statistics.median(durations) * 1000)
                    found[contender, connections].append(result)
    return Table(
        name="comparison",
        head=("", "connections", "orders/s", "from-to", "p50 ms", "rate to by hand"),
        rows=[
            _row(contender, connections, found[contender, connections], found[BY_HAND, connections])
            for connections in CONNECTIONS
            for contender in contenders
        ],
    )


def _served(bench: Harness, contender: Contender, environment: Mapping[str, str]) -> AbstractContextManager[Server]:
    workers = 1 if contender.on_sqlite else 2
    if contender.module == "restate":
        return restate.serve(bench, workers, environment)
    return bench.server(contender.module, workers, **environment)


def _row(
    contender: Contender, connections: int, found: list[tuple[float, float]], by_hand: list[tuple[float, float]]
) -> tuple[str, ...]:
    rates, medians = zip(*found, strict=True)
    rate = statistics.median(rates)
    ratio = rate / statistics.median(rate for rate, _ in by_hand)
    span = f"{min(rates):,.0f}-{max(rates):,.0f}"
    return contender.name, str(connections), f"{rate:,.0f}", span, f"{statistics.median(medians):.2f}", f"{ratio:.2f}"
