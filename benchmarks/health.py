"""Measure GET /health over ten connections: the cost of a health probe."""

import statistics

from benchmarks.harness import Harness, settings
from benchmarks.report import Table

CONNECTIONS, SECONDS, PROCESSES = 10, 4.0, (1, 2)


def measure(bench: Harness) -> Table:
    environment = settings(bench.database(), bench.responder())
    rows = []
    for processes in PROCESSES:
        with bench.server("ours", processes, **environment) as server:
            durations = bench.load(server.url.replace("/order", "/health"), CONNECTIONS, SECONDS, method="GET")
        mean, slowest = statistics.fmean(durations) * 1000, max(durations) * 1000
        rows.append((str(processes), f"{len(durations) / SECONDS:,.0f}", f"{mean:.1f}", f"{slowest:.0f}"))
    return Table(name="health", head=("processes", "requests/s", "mean ms", "slowest ms"), rows=rows)
