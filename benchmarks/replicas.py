"""Measure orders per second with 1, 2 and 4 processes on one PostgreSQL, all on the same machine."""

import statistics

import psycopg2

from benchmarks.harness import Harness, settings
from benchmarks.report import Table

PROCESSES, CONNECTIONS, SECONDS = (1, 2, 4), 32, 5.0
#: Counts the connections of the database, except the one that runs this query.
_CONNECTIONS_QUERY = "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()"


def measure(bench: Harness) -> Table:
    responder = bench.responder()
    return Table(
        name="replicas",
        head=("processes", "orders/s", "p50 ms", "p99 ms", "largest process MB", "connections to PostgreSQL"),
        rows=[_row(bench, responder, processes) for processes in PROCESSES],
    )


def _row(bench: Harness, responder: str, processes: int) -> tuple[str, ...]:
    url = bench.database()
    with bench.server("ours", processes, **settings(url, responder)) as server:
        bench.load(server.url, CONNECTIONS, 1.0)
        durations = bench.load(server.url, CONNECTIONS, SECONDS)
        memory_mb, open_connections = server.largest_mb(), _open_connections(url)
    return (
        str(processes),
        f"{len(durations) / SECONDS:,.0f}",
        f"{statistics.median(durations) * 1000:.0f}",
        f"{statistics.quantiles(durations, n=100)[98] * 1000:.0f}",
        f"{memory_mb:.0f}",
        str(open_connections),
    )


def _open_connections(url: str) -> int:
    connection = psycopg2.connect(url)
    cursor = connection.cursor()
    cursor.execute(_CONNECTIONS_QUERY)
    (count,) = cursor.fetchone() or (0,)
    connection.close()
    return int(count)
