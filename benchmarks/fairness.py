"""Measure how long a quiet saga waits behind a hundred thousand due sagas of a noisy table or tenant, on PostgreSQL.

`python -m benchmarks.fairness [NOISY]`. Printed is the time of one claim: with one statement for all, which takes noisy
sagas alone, and with the limit of the noisy table or tenant reached, so that the claim reads past its due sagas.
"""

import statistics
import sys
import time
from contextlib import closing

import psycopg2
from sqlalchemy import create_engine

from app.store.leases import Leases
from app.store.tenant_room import TenantRoom
from benchmarks.harness import open_harness
from machines.discovery import discover

NOISY, QUIET, ROUNDS = 100_000, 2_000, 20
_FILL = """
    INSERT INTO saga (id, tenant, definition, definition_version, state, status, data, attempt, deferrals, epoch,
                      version, claims, unsure, due_at, created_at, updated_at, entered_at, moves)
    SELECT gen_random_uuid(), %s, %s, 1, %s, 'running', '{}', 0, 0, 1, 1, 0, false,
           now() - interval '1 hour' + %s * interval '1 second', now(), now(), now(),
           '[{"seq": 1, "trigger": "start", "dest": "INITIEE", "actor": "client"}]'
    FROM generate_series(1, %s)
"""


def measured(leases: Leases, names: list[str] | None, room: TenantRoom | None) -> tuple[float, int]:
    """Return the median time of a claim of 32 in milliseconds, and how many quiet sagas were claimed."""
    times, quiet = [], 0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        claimed = leases.claim(32, 600, 0.0, names, room)
        times.append((time.perf_counter() - began) * 1e3)
        quiet += sum(saga.definition.name == "commande" for saga in claimed)
    return statistics.median(times), quiet


def main(noisy: int) -> None:
    with open_harness() as bench:
        url = bench.database()
        with closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(_FILL, ["noisy", "checkout", "INITIEE", 0, noisy])
            cursor.execute(_FILL, ["quiet", "commande", "EN_ATTENTE", 60, QUIET])
            cursor.execute("VACUUM ANALYZE")
        database = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"), isolation_level="AUTOCOMMIT")
        leases = Leases(database, discover(), "bench")
        full = TenantRoom({"noisy": 0}, others=32)
        for title, names, room in (
            ("one statement", None, None),
            ("past the noisy table", ["commande"], None),
            ("past the noisy tenant", None, full),
        ):
            took_ms, quiet = measured(leases, names, room)
            sys.stdout.write(f"{title:22}{took_ms:7.1f} ms a claim, {quiet} quiet sagas in {ROUNDS} claims\n")
        database.dispose()


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else NOISY)
