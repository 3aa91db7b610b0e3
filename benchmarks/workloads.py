"""Measure orders that differ from the usual one: more steps, larger bodies, refused orders, slower participants."""

import statistics
import sys
from dataclasses import dataclass

from benchmarks.harness import Harness, settings
from benchmarks.report import Table

CONNECTIONS, ROUNDS, SECONDS, WARM_UP_S = 16, 3, 4.0, 1.0
CONTENDERS = ("handwritten", "ours")


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One kind of order."""

    name: str
    steps: int = 4
    note: int = 4  # bytes that travel with each call
    refused: int = 0  # with N, one of N sales is refused; with 0, none
    delay_s: float = 0.0  # seconds that a participant takes for each call


WORKLOADS = (
    Workload(name="four steps"),
    Workload(name="eight steps", steps=8),
    Workload(name="bodies of 16 kB", note=16_384),
    Workload(name="one of three refused, and undone", refused=3),
    Workload(name="participants of 20 ms", delay_s=0.02),
    Workload(name="eight steps, 4 kB, one of five refused, 5 ms", steps=8, note=4096, refused=5, delay_s=0.005),
)


def measure(bench: Harness) -> Table:
    rows = []
    for workload in WORKLOADS:
        sys.stderr.write(f"  {workload.name}\n")
        by_hand, ours = _rates(bench, workload)
        rows.append((workload.name, f"{by_hand:,.0f}", f"{ours:,.0f}", f"{ours / by_hand:.2f}"))
    return Table(name="workloads", head=("16 connections, orders/s", "by hand", "ours", "ratio"), rows=rows)


def _rates(bench: Harness, workload: Workload) -> list[float]:
    """Return the median rate of each contender; the contenders take turns."""
    responder = bench.responder(workload.delay_s, workload.refused)
    environments = {name: settings(bench.database(), responder) for name in CONTENDERS}
    found: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(ROUNDS):
        for name in CONTENDERS:
            bench.settle()
            with bench.server(name, 2, **environments[name], BENCH_STEPS=str(workload.steps)) as server:
                bench.load(server.url, CONNECTIONS, WARM_UP_S, note=workload.note)
                durations = bench.load(server.url, CONNECTIONS, SECONDS, note=workload.note)
                found[name].append(len(durations) / SECONDS)
    return [statistics.median(rates) for rates in found.values()]
