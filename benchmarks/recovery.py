"""Measure the takeover of a dead process's sagas: how fast others claim them, and how long until all have ended."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine as Database
from sqlalchemy import create_engine

from app.config import from_environment
from app.store.database import database_options, make_durable
from app.store.instance import Instance
from app.store.leases import Leases
from app.store.sagas import SagaStore
from app.store.statements import Connections
from benchmarks.contenders.saga import BENCH
from benchmarks.harness import Harness, settings, wait_until_ended
from benchmarks.report import Table
from machines.registry import Registry

ORPHANS, AT_ONCE, WORKERS = 10_000, 100, 2
_REGISTRY = Registry([BENCH])


def measure(bench: Harness) -> Table:
    responder = bench.responder()
    rows = [("claimed, 100 at once, by one process", *_claim_all(bench.database()))]
    for workers in (1, WORKERS):
        url = bench.database()
        _insert_orphans(url)
        with bench.server("ours", workers, **settings(url, responder)):
            started = time.monotonic()
            wait_until_ended(url)
            took = time.monotonic() - started
        sys.stderr.write(f"  {workers} process{'es' if workers > 1 else ''}\n")
        rows.append((f"carried to their end by {workers}", f"{took:.1f}", f"{ORPHANS / took:,.0f}"))
    return Table(name="recovery", head=(f"{ORPHANS:,} orphans", "s", "sagas/s"), rows=rows)


def _claim_all(url: str) -> tuple[str, str]:
    _insert_orphans(url)
    with _database(url) as database:
        leases = Leases(database, _REGISTRY, "heir")
        started, claimed = time.monotonic(), 0
        while found := len(leases.claim(AT_ONCE, 30.0, 0.0)):
            claimed += found
        took = time.monotonic() - started
    assert claimed == ORPHANS, claimed
    return f"{took:.1f}", f"{ORPHANS / took:,.0f}"


def _insert_orphans(url: str) -> None:
    with _database(url) as database:
        store = SagaStore(Connections(database), _REGISTRY, "dead")
        for number in range(ORPHANS):
            saga = Instance.new(BENCH, {"customer": f"c{number}", "amount": 12, "note": "none"}, actor="client")
            store.insert(saga, 0.0, "dead")


@contextmanager
def _database(url: str) -> Iterator[Database]:
    url = from_environment({"DATABASE_URL": url}).database_url
    database = create_engine(url, **database_options(url, 4))
    make_durable(database)
    yield database
    database.dispose()
