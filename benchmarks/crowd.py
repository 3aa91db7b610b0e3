"""Many sagas in flight on slow participants: what bounds them, and what they weigh.

Beside them the bare calls, with as many threads and nothing else to do: what this machine can carry of such requests.
"""

import statistics
import sys
import time
from collections.abc import Mapping

from benchmarks.report import Table
from benchmarks.rig import Rig, settings

CALLS = 4
#: How many in flight, and how long a call takes.
CROWDS = ((16, 0.1), (64, 0.1), (256, 0.1), (1000, 0.1), (1000, 1.0))
SECONDS, WORKERS, THREADS = 15.0, 2, 512


def measure(bench: Rig) -> Table:
    rows = []
    for in_flight, delay_s in CROWDS:
        sys.stderr.write(f"  {in_flight} in flight, {delay_s:g} s a call\n")
        given = settings(bench.database(), bench.responder(delay_s)) | {"THREADS": str(THREADS)}
        bare, *_ = _driven(bench, "bare", in_flight, given)
        ours, half_ms, largest_mb = _driven(bench, "ours", in_flight, given)
        bound = in_flight / (delay_s * CALLS)
        figures = (bound, bare, ours, half_ms, largest_mb)
        rows.append((str(in_flight), f"{delay_s:g} s", *(f"{figure:,.0f}" for figure in figures)))
    head = ("in flight", "each of 4 calls takes", "at most/s", "bare calls/s", "ours/s", "p50 ms", "largest process MB")
    return Table(name="crowd", head=head, rows=rows)


def _driven(bench: Rig, contender: str, in_flight: int, given: Mapping[str, str]) -> tuple[float, float, float]:
    """Give orders a second until the last of them has ended, how many ms half of them take, and its largest process."""
    with bench.server(contender, WORKERS, THREADS, **given) as server:
        began = time.monotonic()
        took = bench.load(server.url, in_flight, SECONDS)
        rate = len(took) / (time.monotonic() - began)
        return rate, statistics.median(took) * 1000, server.largest_mb()
