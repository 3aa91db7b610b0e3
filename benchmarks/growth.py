"""Measure throughput on an empty database and on one that holds a million sagas with their journals and indexes."""

import statistics
import sys
from typing import Any

import psycopg2

from benchmarks.harness import Harness, settings
from benchmarks.report import Table

SAGAS, CONNECTIONS, SECONDS, ROUNDS = 1_000_000, 16, 4.0, 3
_FILL = f"""
    ALTER TABLE saga DISABLE TRIGGER USER;
    INSERT INTO saga (id, definition, definition_version, state, status, data, attempt, deferrals, epoch, version,
                      claims, unsure, created_at, updated_at, entered_at, moves, client, store)
    SELECT gen_random_uuid(), 'bench', 1, 'CONFIRMED', 'completed', '{{"customer": "Ada", "amount": 12}}', 0, 0, 1, 5,
           0, false, now() - n * interval '1 second', now(), now(), '[]', (n % 50000)::text, '1'
    FROM generate_series(1, {SAGAS}) AS n;
    ALTER TABLE saga ENABLE TRIGGER USER;
    INSERT INTO journal (saga_id, seq, at, source, trigger, dest, actor, status_code, duration_ms)
    SELECT id, seq, now(), 'RESERVED', 'succeeded', 'PAID', 'engine', 200, 1.5 FROM saga, generate_series(1, 6) AS seq;
    VACUUM ANALYZE;
"""  # noqa: S608  the inserted numbers are constants of this file


def measure(bench: Harness) -> Table:
    responder = bench.responder()
    empty, full = bench.database(), bench.database()
    sys.stderr.write(f"  filling in {SAGAS:,} sagas and their journals\n")
    _fill(full)
    rates: dict[str, list[float]] = {empty: [], full: []}
    for _ in range(ROUNDS):
        for url, found in rates.items():
            with bench.server("ours", 2, **settings(url, responder)) as server:
                bench.load(server.url, CONNECTIONS, 2.0)
                found.append(len(bench.load(server.url, CONNECTIONS, SECONDS)) / SECONDS)
    first, last = (statistics.median(rates[url]) for url in (empty, full))
    rows = [
        ("none, at first", f"{first:,.0f}", "1.00"),
        (f"{SAGAS:,}, and {6 * SAGAS:,} moves", f"{last:,.0f}", f"{last / first:.2f}"),
    ]
    return Table(name="growth", head=("there are", "orders/s", "ratio"), rows=rows)


def _fill(url: str) -> None:
    connection: Any = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in _FILL.split(";"):
            if statement.strip():
                cursor.execute(statement)
    connection.close()
