"""Orders a second, side by side with what else one would use.

Each contender is served by the same server and calls the same participants, which answer at once; they take turns for
some rounds, each round another one first, and medians count. What is watched, logged and checked in production is on.
"""

import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass

from benchmarks.report import Table
from benchmarks.rig import Rig, settings

CONNECTIONS = (1, 16)
ROUNDS, SECONDS, WARM_UP_S = 5, 5.0, 1.0


@dataclass(frozen=True, kw_only=True)
class Contender:
    """module: in benchmarks.contenders. A file serves one process alone."""

    name: str
    module: str
    on_a_file: bool = False


BY_HAND = Contender(name="a loop by hand, one statement a step", module="handwritten")
CONTENDERS = (
    Contender(name="bare calls, nothing durable", module="bare"),
    BY_HAND,
    Contender(name="DBOS 3.4", module="dbos"),
    Contender(name="ours", module="ours"),
    Contender(name="ours on SQLite, one process", module="ours", on_a_file=True),
)


def measure(bench: Rig, contenders: tuple[Contender, ...] = CONTENDERS, rounds: int = ROUNDS) -> Table:
    found: dict[tuple[Contender, int], list[tuple[float, float]]] = defaultdict(list)
    responder = bench.responder()
    given = {
        contender: settings(bench.file() if contender.on_a_file else bench.database(), responder)
        for contender in contenders
    }
    for number in range(rounds):
        sys.stderr.write(f"  round {number + 1} of {rounds}\n")
        for contender in (*contenders[number % len(contenders) :], *contenders[: number % len(contenders)]):
            bench.settle()
            with bench.server(contender.module, 1 if contender.on_a_file else 2, **given[contender]) as server:
                bench.load(server.url, max(CONNECTIONS), WARM_UP_S)
                for connections in CONNECTIONS:
                    took = bench.load(server.url, connections, SECONDS)
                    found[contender, connections].append((len(took) / SECONDS, statistics.median(took) * 1000))
    return Table(
        name="versus",
        head=("", "connections", "orders/s", "from-to", "p50 ms", "rate to by hand"),
        rows=[
            _row(contender, connections, found[contender, connections], found[BY_HAND, connections])
            for connections in CONNECTIONS
            for contender in contenders
        ],
    )


def _row(
    contender: Contender, connections: int, found: list[tuple[float, float]], by_hand: list[tuple[float, float]]
) -> tuple[str, ...]:
    rates, halves = zip(*found, strict=True)
    rate = statistics.median(rates)
    ratio = rate / statistics.median(rate for rate, _ in by_hand)
    between = f"{min(rates):,.0f}-{max(rates):,.0f}"
    return contender.name, str(connections), f"{rate:,.0f}", between, f"{statistics.median(halves):.2f}", f"{ratio:.2f}"
