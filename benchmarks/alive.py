"""GET /health, asked by ten connections: what a probe or a gateway costs."""

import statistics

from benchmarks.report import Table
from benchmarks.rig import Rig, settings

CONNECTIONS, SECONDS, PROCESSES = 10, 4.0, (1, 2)


def measure(bench: Rig) -> Table:
    given = settings(bench.database(), bench.responder())
    rows = []
    for processes in PROCESSES:
        with bench.server("ours", processes, **given) as server:
            took = bench.load(server.url.replace("/order", "/health"), CONNECTIONS, SECONDS, method="GET")
        mean, slowest = statistics.fmean(took) * 1000, max(took) * 1000
        rows.append((str(processes), f"{len(took) / SECONDS:,.0f}", f"{mean:.1f}", f"{slowest:.0f}"))
    return Table(name="alive", head=("processes", "requests/s", "mean ms", "slowest ms"), rows=rows)
