"""Measure one table against partitions by month, on PostgreSQL with some million sagas.

`python -m benchmarks.partitions [SAGAS]`. Printed are medians: with all sagas in one table, whose ids are random as
those of earlier releases, and with the same sagas in eight months.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from app import create_app
from app.config import from_environment
from app.services import services
from app.store import old_months, retention
from app.store.attention import Attention
from app.store.database import DAY_S, db
from app.store.instance import Instance
from app.store.leases import Leases
from app.store.lists import SagaFilter, newest
from app.store.months import Month, add, make_ahead
from app.store.partitions import partition
from app.store.sagas import SagaStore
from app.store.statements import Connections
from app.store.transactions import atomic
from app.views.states import dwell_limits, final_states
from benchmarks.harness import Harness, open_harness
from machines.checkout import CHECKOUT
from machines.transitions import Trigger

SAGAS, MONTHS, RUNS, STUCK, DELETED = 2_000_000, 8, 50, 1_000, 2_000
_ID = {
    "one table": "gen_random_uuid()",
    "partitions": "(lpad(to_hex((extract(epoch FROM past) * 1000)::bigint), 12, '0') || '7' ||"
    " substr(md5(n::text), 1, 3) || 'a' || substr(md5(n::text), 4, 15))::uuid",
}
_FILL = """
    INSERT INTO saga (id, definition, definition_version, state, status, data, attempt, deferrals, epoch, version,
                      claims, unsure, created_at, updated_at, entered_at, moves, client, store)
    SELECT {id}, 'checkout', 1, CASE WHEN mod(n, {every}) = 0 THEN 'STUCK_ENREGISTRER_VENTE' ELSE 'CONFIRMEE' END,
           CASE WHEN mod(n, {every}) = 0 AND n > {sagas} / 2 THEN 'stuck' ELSE 'completed' END,
           '{{"client_id": 4, "magasin_id": 1}}', 0, 0, 1, 5, 0, false, past, past, past, '[]', mod(n, 50000)::text, '1'
    FROM generate_series(1, {sagas}) AS n,
         LATERAL (SELECT CAST('{first}' AS timestamptz) + n * interval '{step_s} s') AS at (past)
"""
_MOVES = """
    INSERT INTO journal (saga_id, seq, at, source, trigger, dest, actor, status_code, duration_ms)
    SELECT id, seq, created_at, CASE WHEN seq > 1 THEN 'PAYEE' END, 'succeeded', 'CONFIRMEE', 'engine', 200, 1.5
    FROM saga, generate_series(1, 6) AS seq
"""


def say(words: str) -> None:
    sys.stderr.write(f"  {time.strftime('%H:%M:%S')} {words}\n")


def median_ms(work: Callable[[], object]) -> float:
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e3


def _past_months() -> list[Month]:
    now = Month.of(datetime.now(UTC))
    month = Month(now.year - (now.number <= MONTHS), (now.number - MONTHS - 1) % 12 + 1)
    found = []
    for _ in range(MONTHS):
        found.append(month)
        month = month.next
    return found


def _fill(kind: str, sagas: int) -> None:
    past = _past_months()
    if kind == "partitions":
        partition(db.engine)
        for month in past:
            with atomic(db.engine) as connection:
                add(connection, month)
        make_ahead(db.engine)
    step_s = (past[-1].next.start - past[0].start).total_seconds() / (sagas + 1)
    words: Mapping[str, Any] = {
        "id": _ID[kind], "sagas": sagas, "every": sagas // 2 // STUCK, "first": past[0].start.isoformat(),
        "step_s": step_s,
    }  # fmt: skip
    with db.engine.connect() as connection:
        connection.exec_driver_sql("SET statement_timeout = 0")
        connection.exec_driver_sql("SET session_replication_role = replica")  # no triggers
        for statement in (_FILL.format(**words), _MOVES, "VACUUM ANALYZE"):
            connection.exec_driver_sql(statement)
        say(f"{kind}: filled")
        connection.invalidate()


def measured(bench: Harness, kind: str, sagas: int) -> dict[str, float]:
    app = create_app(from_environment({"DATABASE_URL": bench.database()}))
    with app.app_context():
        _fill(kind, sagas)
        registry = services().registry
        store = SagaStore(Connections(db.engine), registry, "one")
        leases, attention = Leases(db.engine, registry, "one"), Attention(registry, dwell_limits(registry))

        def order() -> None:
            saga = Instance.new(CHECKOUT, {"client_id": 4, "magasin_id": 1}, "client")
            store.insert(saga, 30, "one")
            saga.fire(Trigger.CANCEL, actor="ada")
            saga.fire(Trigger.COMPENSATE, actor="ada")
            store.save(saga, None, None)

        with db.engine.connect() as connection:
            some = connection.scalars(text("SELECT id FROM saga ORDER BY created_at LIMIT 100 OFFSET 10000")).all()
        found = {
            "start and end of a saga, two commits": median_ms(order),
            "claim, nothing due": median_ms(lambda: leases.claim(10, 30)),
            "list, the newest 50": median_ms(lambda: newest(SagaFilter(), final_states(registry), 50)),
            "stuck page": median_ms(lambda: attention.page(SagaFilter(), 50)),
            "one saga with its journal": median_ms(lambda: store.read(some[0])),
            "search by the last 8 digits": median_ms(
                lambda: newest(SagaFilter(words=str(some[1])[-8:]), final_states(registry), 50)
            ),
        }
        say(f"{kind}: measured")
        found |= _pruned(kind)
        db.session.remove()
        db.engine.dispose()
    return found


def _pruned(kind: str) -> dict[str, float]:
    first = _past_months()[0]
    days = (datetime.now(UTC) - first.next.start).total_seconds() / DAY_S - 0.01
    began, number = time.perf_counter(), 0
    if kind == "one table":
        while number < DELETED:
            number += retention.delete_ended([row.id for row in retention.ended_before(days, 500)])
    else:
        number = sum(each for _, each in old_months.drop_old(db.engine, days))
    took_s = time.perf_counter() - began
    say(f"{kind}: {number:,} sagas deleted in {took_s:.1f} s")
    return {"sagas deleted a second": number / took_s, "a month's sagas deleted": number}


def main() -> None:
    sagas = int(sys.argv[1]) if len(sys.argv) > 1 else SAGAS
    with open_harness() as bench:
        before, after = (measured(bench, kind, sagas) for kind in _ID)
    for name, value in before.items():
        sys.stdout.write(f"{name:40}{value:12,.2f}{after[name]:12,.2f}\n")


if __name__ == "__main__":
    main()
