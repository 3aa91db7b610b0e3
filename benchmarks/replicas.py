"""Orders a second by so many processes on one PostgreSQL, all on the same machine."""

import statistics

import psycopg2

from benchmarks.report import Table
from benchmarks.rig import Rig, settings

PROCESSES, CONNECTIONS, SECONDS = (1, 2, 4), 32, 5.0
_CONNECTED = "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()"


def measure(bench: Rig) -> Table:
    responder = bench.responder()
    return Table(
        name="replicas",
        head=("processes", "orders/s", "p50 ms", "p99 ms", "largest process MB", "connections to PostgreSQL"),
        rows=[_row(bench, responder, processes) for processes in PROCESSES],
    )


def _row(bench: Rig, responder: str, processes: int) -> tuple[str, ...]:
    url = bench.database()
    with bench.server("ours", processes, **settings(url, responder)) as server:
        bench.load(server.url, CONNECTIONS, 1.0)
        took = bench.load(server.url, CONNECTIONS, SECONDS)
        memory, connected = server.largest_mb(), _connected(url)
    half, most = statistics.median(took) * 1000, statistics.quantiles(took, n=100)[98] * 1000
    return str(processes), f"{len(took) / SECONDS:,.0f}", f"{half:.0f}", f"{most:.0f}", f"{memory:.0f}", str(connected)


def _connected(url: str) -> int:
    connection = psycopg2.connect(url)
    cursor = connection.cursor()
    cursor.execute(_CONNECTED)
    (found,) = cursor.fetchone() or (0,)
    connection.close()
    return int(found)
