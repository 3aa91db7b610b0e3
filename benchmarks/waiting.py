"""Measure what waiting sagas cost, how long the answer to one of them takes, and what a poll costs.

The sagas wait for the answers of their participant: they are called back, or they ask. One saga is started and copied
in the database, because only the number of its copies matters.
"""

import statistics
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from uuid import UUID

import psutil
import psycopg2
import requests

from app.config import from_environment
from app.engine.reply_urls import reply_url
from benchmarks.harness import Harness, Server, settings
from benchmarks.report import Table

WAITING = (1_000, 100_000)
IDLE_S, ANSWERS = 20.0, 200
#: The number of polls that are due while the service is measured.
POLLS = (0, 1_000)
#: Setting that a table with callbacks needs.
_CALLED_BACK = {"PUBLIC_URL": "http://127.0.0.1"}
_ORDER = {"customer": "Ada", "amount": 12}
_COPY = """
    INSERT INTO saga
    SELECT (jsonb_populate_record(first, jsonb_build_object('id', gen_random_uuid()))).*
    FROM (SELECT saga FROM saga WHERE definition = %s LIMIT 1) AS one(first), generate_series(1, %s)
"""
_SOON = """
    UPDATE saga SET due_at = clock_timestamp() + random() * %s * interval '1 second'
    WHERE id IN (SELECT id FROM saga WHERE definition = 'asking' LIMIT %s)
"""


def measure(bench: Harness) -> Table:
    rows = []
    for waiting in WAITING:
        sys.stderr.write(f"  {waiting:,} sagas wait\n")
        url = bench.database()
        environment = settings(url, bench.responder()) | _CALLED_BACK
        with bench.server("patient", 1, **environment) as server:
            _wait_for_one(server.url)
            _copy(url, "patient", waiting)
            threads, cpu_ms = _idle(server)
            durations = _answers(server, environment)
        middle, last = statistics.median(durations) * 1000, statistics.quantiles(durations, n=100)[98] * 1000
        rows.append((f"{waiting:,}", str(threads), f"{cpu_ms:.1f}", f"{middle:.1f}", f"{last:.1f}"))
    head = ("sagas that wait", "threads", "CPU ms/s when idle", "one answer, p50 ms", "p99 ms")
    return Table(name="waiting", head=head, rows=rows)


def measure_polls(bench: Harness) -> Table:
    """Measure the service with sagas that ask, without a poll that is due and with some."""
    rows = []
    for waiting in WAITING:
        sys.stderr.write(f"  {waiting:,} sagas ask\n")
        url = bench.database()
        environment = settings(url, bench.responder()) | _CALLED_BACK
        with bench.server("patient", 1, **environment) as server:
            _wait_for_one(server.url.replace("/order", "/ask"))
            _copy(url, "asking", waiting)
            for due in POLLS:
                _make_due(url, due)
                threads, cpu_ms = _idle(server)
                rows.append((f"{waiting:,}", str(threads), str(_polls(url)), f"{cpu_ms:.1f}"))
    head = ("sagas that ask", "threads", f"polls in {IDLE_S:g} s", "CPU ms/s")
    return Table(name="polling", head=head, rows=rows)


def _make_due(url: str, number: int) -> None:
    """Let the next poll of some sagas come within the time of the measurement, and forget the polls so far."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("UPDATE saga SET deferrals = 0 WHERE deferrals > 0")
        cursor.execute(_SOON, [IDLE_S - 2, number])


def _polls(url: str) -> int:
    with closing(psycopg2.connect(url)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT coalesce(sum(deferrals), 0) FROM saga")
        return int(cursor.fetchone()[0])


def _wait_for_one(url: str) -> None:
    status = requests.post(url, json=_ORDER, timeout=10).json()["status"]
    assert status == "waiting", status


def _copy(url: str, definition: str, number: int) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(_COPY, [definition, number])
        cursor.execute("VACUUM ANALYZE saga")


def _idle(server: Server) -> tuple[int, float]:
    """Return the threads of the service, and the milliseconds of CPU that it uses per second while nothing happens."""
    processes = [server.process, *server.process.children(recursive=True)]
    before = _cpu_s(processes)
    time.sleep(IDLE_S)
    return sum(process.num_threads() for process in processes), (_cpu_s(processes) - before) / IDLE_S * 1000


def _cpu_s(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _answers(server: Server, environment: Mapping[str, str]) -> list[float]:
    """Answer new sagas one after the other. Return the duration of each answer in seconds."""
    config, session, durations = from_environment(environment), requests.Session(), []
    base = server.url.removesuffix("/order")
    for _ in range(ANSWERS):
        saga_id = UUID(session.post(server.url, json=_ORDER, timeout=10).json()["id"])
        path = reply_url(config, saga_id, "pay").removeprefix(config.public_url or "")
        started = time.perf_counter()
        answer = session.post(f"{base}{path}", json={"number": 7}, timeout=10)
        durations.append(time.perf_counter() - started)
        answer.raise_for_status()
    return durations
