"""Measure throughput and memory with many sagas in flight on slow participants.

A plain loop of `requests` calls gets the same load with the same number of threads. It shows the limit of this machine.
"""

import statistics
import sys
import time
from collections.abc import Mapping

from benchmarks.harness import Harness, settings
from benchmarks.report import Table

CALLS = 4
#: The loads: (orders in flight, seconds that a participant takes for one call).
LOADS = ((16, 0.1), (64, 0.1), (256, 0.1), (1000, 0.1), (1000, 1.0))
SECONDS, WORKERS, THREADS = 15.0, 2, 512


def measure(bench: Harness) -> Table:
    rows = []
    for in_flight, delay_s in LOADS:
        sys.stderr.write(f"  {in_flight} in flight, {delay_s:g} s a call\n")
        environment = settings(bench.database(), bench.responder(delay_s)) | {"THREADS": str(THREADS)}
        bare, *_ = _measure(bench, "bare", in_flight, environment)
        ours, median_ms, largest_mb = _measure(bench, "ours", in_flight, environment)
        bound = in_flight / (delay_s * CALLS)
        figures = (bound, bare, ours, median_ms, largest_mb)
        rows.append((str(in_flight), f"{delay_s:g} s", *(f"{figure:,.0f}" for figure in figures)))
    head = ("in flight", "each of 4 calls takes", "at most/s", "bare calls/s", "ours/s", "p50 ms", "largest process MB")
    return Table(name="concurrency", head=head, rows=rows)


def _measure(
    bench: Harness, contender: str, in_flight: int, environment: Mapping[str, str]
) -> tuple[float, float, float]:
    """Return orders per second, the median duration in ms and the memory of the largest process in MB."""
    with bench.server(contender, WORKERS, THREADS, **environment) as server:
        started = time.monotonic()
        durations = bench.load(server.url, in_flight, SECONDS)
        rate = len(durations) / (time.monotonic() - started)
        return rate, statistics.median(durations) * 1000, server.largest_mb()
