"""Many sagas in flight on slow participants: what bounds them, and what they weigh."""

import statistics
import sys

from benchmarks.report import Table
from benchmarks.rig import Rig, settings

DELAY_S, CALLS = 0.1, 4
IN_FLIGHT = (16, 64, 256, 1000)
SECONDS, WORKERS, THREADS = 12.0, 2, 512


def measure(bench: Rig) -> Table:
    given = settings(bench.database(), bench.responder(DELAY_S))
    rows = []
    with bench.server("ours", WORKERS, THREADS, THREADS=str(THREADS), **given) as server:
        for in_flight in IN_FLIGHT:
            sys.stderr.write(f"  {in_flight} in flight\n")
            took = bench.load(server.url, in_flight, SECONDS)
            bound = in_flight / (DELAY_S * CALLS)
            rows.append(
                (
                    str(in_flight),
                    f"{bound:,.0f}",
                    f"{len(took) / SECONDS:,.0f}",
                    f"{statistics.median(took) * 1000:,.0f}",
                    f"{server.largest_mb():,.0f}",
                )
            )
    head = ("in flight, 4 calls of 100 ms", "at most/s", "orders/s", "p50 ms", "largest process MB")
    return Table(name="crowd", head=head, rows=rows)
