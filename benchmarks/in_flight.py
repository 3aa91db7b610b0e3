"""Measure one process with many sagas in flight. Each waits for a slow participant, and no client waits."""

import http.client
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Thread
from urllib.parse import urlsplit

from benchmarks.harness import Harness, Server, settings, wait_until_ended
from benchmarks.report import Table

CALLS = 4
#: The loads: (sagas, seconds that a participant takes for one call).
LOADS = ((1_000, 10.0), (10_000, 60.0))
CONNECTIONS = 8
#: Threads for the order with which the harness looks whether the server answers.
SPARE = 16
SAMPLE_S = 0.5
_ORDER = json.dumps({"customer": "Ada", "amount": 12})
_HEADERS = {"Content-Type": "application/json", "Prefer": "respond-async"}


def measure(bench: Harness) -> Table:
    rows = []
    for sagas, delay_s in LOADS:
        sys.stderr.write(f"  {sagas:,} sagas, {delay_s:g} s a call\n")
        url = bench.database()
        environment = settings(url, bench.responder(delay_s)) | {
            "BENCH_TIMEOUT_S": "300",
            "THREADS": str(sagas + SPARE),
        }
        with bench.server("ours", 1, **environment) as server, _watched(server) as peaks:
            started = time.monotonic()
            with ThreadPoolExecutor(CONNECTIONS) as clients:
                list(clients.map(_start, [server.url] * CONNECTIONS, [sagas // CONNECTIONS] * CONNECTIONS))
            all_s = time.monotonic() - started
            wait_until_ended(url)
            ended_s = time.monotonic() - started
        threads, megabytes = (max(peak) for peak in zip(*peaks, strict=True))
        figures = (CALLS * delay_s, all_s, ended_s, threads, megabytes)
        rows.append((f"{sagas:,}", *(f"{figure:,.0f}" for figure in figures)))
    head = ("sagas", "the calls of one take s", "all started after s", "all ended after s", "most threads", "most MB")
    return Table(name="in-flight", head=head, rows=rows)


def _start(url: str, sagas: int) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
    for _ in range(sagas):
        connection.request("POST", parts.path, _ORDER, _HEADERS)
        response = connection.getresponse()
        response.read()
        if response.status != http.client.OK:
            raise SystemExit(f"a start was answered {response.status}")


@contextmanager
def _watched(server: Server) -> Iterator[list[tuple[int, float]]]:
    """Return a list to which the threads and the memory of the server's largest process are added, until the end."""
    peaks: list[tuple[int, float]] = []
    over = Event()

    def watch() -> None:
        while not over.wait(SAMPLE_S):
            peaks.append((server.most_threads(), server.largest_mb()))

    watching = Thread(target=watch)
    watching.start()
    try:
        yield peaks
    finally:
        over.set()
        watching.join()
