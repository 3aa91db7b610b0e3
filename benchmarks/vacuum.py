"""Measure what PostgreSQL's tables look like under a long load: bloat, HOT updates and the work of autovacuum.

`python -m benchmarks.vacuum [MINUTES]` (default: 60) starts orders on 16 connections without a pause, and writes its
table to docs/performance.md. Autovacuum has its default settings, and no saga is deleted.
"""

import sys
import time
from contextlib import closing
from typing import Any

import psycopg2

from benchmarks.harness import Harness, open_harness, settings
from benchmarks.report import Table

CONNECTIONS, PARTS = 16, 3
_STATISTICS = """
    SELECT n_live_tup, n_dead_tup, n_tup_upd, n_tup_hot_upd, autovacuum_count, pg_table_size(relid),
           pg_indexes_size(relid)
    FROM pg_stat_user_tables WHERE relname = 'saga'
"""


def measure(bench: Harness, minutes: float) -> Table:
    url, rows, orders = bench.database(), [], 0
    with bench.server("ours", 2, 64, **settings(url, bench.responder())) as server:
        bench.load(server.url, CONNECTIONS, 2.0)
        for part in range(1, PARTS + 1):
            done = len(bench.load(server.url, CONNECTIONS, minutes * 60 / PARTS))
            orders += done
            rate = done / (minutes * 60 / PARTS)
            rows.append((f"{minutes * part / PARTS:g} min", f"{orders:,}", f"{rate:,.0f}", *_table(url)))
    head = (
        "after", "orders", "orders/s", "updates that are HOT", "dead rows", "autovacuum runs",
        "bytes of table, of indexes, a saga",
    )  # fmt: skip
    return Table(name="vacuum", head=head, rows=rows)


def _table(url: str) -> tuple[str, ...]:
    time.sleep(2)  # the server processes report their statistics once per second
    with closing(psycopg2.connect(url)) as connection:
        cursor: Any = connection.cursor()
        cursor.execute(_STATISTICS)
        live, dead, updates, hot, runs, table, indexes = cursor.fetchone()
    return f"{hot / updates:.1%}", f"{dead / live:.1%}", str(runs), f"{table / live:,.0f}, {indexes / live:,.0f}"


if __name__ == "__main__":
    with open_harness() as harness:
        table = measure(harness, float(sys.argv[1]) if len(sys.argv) > 1 else 60.0)
    sys.stdout.write(f"{table}\n")
    table.publish()
