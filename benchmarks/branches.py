"""Measure branches: two of 100 ms side by side, and orders of 100 lines with 1, 2 and 4 processes.

The calls of the lines are short, so that the processors are busy, or slow, so that the threads are.

DBOS does the same work with child workflows, each of them durable, as the branches are.
"""

import math
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import requests

from benchmarks.harness import Harness, Server, settings
from benchmarks.report import Table

CONTENDERS = {"ours": "branching", "DBOS 3.4, child workflows": "dbos_branching"}
CALL_S, ORDERS = 0.1, 20
PROCESSES, LINES, LINE_S, AT_ONCE = (1, 2, 4), 100, 0.02, 4
SLOW_S, THREADS = 1.0, 8
_ORDER = {"customer": "Ada", "amount": 12}
_UNFINISHED = "SELECT count(*) FROM saga WHERE status NOT IN ('completed', 'compensated')"
_WAIT_S = 120.0


def measure(bench: Harness) -> Table:
    """Measure one order at a time: the time of two calls of 100 ms, one after the other and side by side."""
    rows = []
    for name, module in CONTENDERS.items():
        with bench.server(module, 1, **settings(bench.database(), bench.responder(CALL_S))) as server:
            in_turn, side_by_side = (
                statistics.median(_times(server, shape)) * 1000 for shape in ("sequence", "together")
            )
        rows.append((name, f"{in_turn:.0f}", f"{side_by_side:.0f}"))
    head = ("two calls of 100 ms", "one after the other, ms", "side by side, ms")
    return Table(name="branches", head=head, rows=rows)


def measure_lines(bench: Harness) -> Table:
    """Measure orders of 100 lines, each a branch with one call, with more and more processes."""
    rows = []
    for name, module in CONTENDERS.items():
        rows += [(name, str(number), *_lines(bench, module, number)) for number in PROCESSES]
    head = ("orders of 100 lines, calls of 20 ms", "processes", "one order, ms", f"lines/s, {AT_ONCE} orders at once")
    return Table(name="lines", head=head, rows=rows)


def measure_slow_lines(bench: Harness) -> Table:
    """Measure an order of 100 lines with slow calls, when each process runs only a few lines at once."""
    rows = []
    for number in PROCESSES:
        environment = settings(bench.database(), bench.responder(SLOW_S)) | {"THREADS": str(THREADS)}
        with bench.server(CONTENDERS["ours"], number, **environment) as server:
            took_s = statistics.median(_times(server, "each", orders=3))
        fewest_s = math.ceil(LINES / (number * THREADS)) * SLOW_S
        rows.append((str(number), str(number * THREADS), f"{took_s:.1f}", f"{fewest_s:.0f}"))
    head = ("processes", "lines at once", "one order, s", "the calls alone, s")
    return Table(name="slow-lines", head=head, rows=rows)


def _lines(bench: Harness, module: str, processes: int) -> tuple[str, str]:
    sys.stderr.write(f"  {module}, {processes} processes\n")
    url = bench.database()
    with bench.server(module, processes, **settings(url, bench.responder(LINE_S))) as server:
        alone = statistics.median(_times(server, "each", orders=5)) * 1000
        started = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as clients:
            for result in clients.map(lambda _: list(_times(server, "each", orders=3)), range(AT_ONCE)):
                assert len(result) == 3  # noqa: PLR2004  each client's orders have ended
        rate = AT_ONCE * 3 * LINES / (time.perf_counter() - started)
    _check(url, module)
    return f"{alone:.0f}", f"{rate:,.0f}"


def _times(server: Server, shape: str, orders: int = ORDERS) -> Iterator[float]:
    """Start orders one after the other. Yield the seconds from the request until each one has ended."""
    session, order = requests.Session(), _ORDER | ({"lines": list(range(LINES))} if shape == "each" else {})
    for _ in range(orders):
        started = time.perf_counter()
        answer = session.post(
            server.url, params={"shape": shape}, json=order, headers={"Prefer": "wait=60"}, timeout=_WAIT_S
        )
        answer.raise_for_status()
        status = answer.json()["status"]
        if status != "completed":
            raise SystemExit(f"an order of the shape {shape} is {status}: {answer.text}")
        yield time.perf_counter() - started


def _check(url: str, module: str) -> None:
    """Raise SystemExit when sagas of the orders have not ended."""
    if not module.startswith("dbos"):
        with closing(psycopg2.connect(url)) as connection:
            cursor = connection.cursor()
            cursor.execute(_UNFINISHED)
            (left,) = cursor.fetchone() or (0,)
        if left:
            raise SystemExit(f"{left} sagas have not ended")
