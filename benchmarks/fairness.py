"""Measure how long a saga of a quiet table waits behind a hundred thousand due sagas of a noisy one, on PostgreSQL.

`python -m benchmarks.fairness [NOISY]`. Printed is the time of one claim: with one statement for all tables, which
takes noisy sagas alone, and with `at_once=` of the noisy table reached, so that the claim reads past its due sagas.
"""

import statistics
import sys
import time
from contextlib import closing

import psycopg2
from sqlalchemy import create_engine

from app.store.leases import Leases
from benchmarks.harness import open_harness
from machines.discovery import discover

NOISY, QUIET, ROUNDS = 100_000, 1_000, 20
_FILL = """
    INSERT INTO saga (id, definition, definition_version, state, status, data, attempt, deferrals, epoch, version,
                      claims, unsure, due_at, created_at, updated_at, entered_at, moves)
    SELECT gen_random_uuid(), %s, 1, %s, 'running', '{}', 0, 0, 1, 1, 0, false,
           now() - interval '1 hour' + %s * interval '1 second', now(), now(), now(),
           '[{"seq": 1, "trigger": "start", "dest": "INITIEE", "actor": "client"}]'
    FROM generate_series(1, %s)
"""


def measured(leases: Leases, names: list[str] | None) -> tuple[float, int]:
    """Return the median time of a claim of 32 in milliseconds, and how many quiet sagas were claimed."""
    times, quiet = [], 0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        claimed = leases.claim(32, 600, 0.0, names)
        times.append((time.perf_counter() - began) * 1e3)
        quiet += sum(saga.definition.name == "commande" for saga in claimed)
    return statistics.median(times), quiet


def main(noisy: int) -> None:
    with open_harness() as bench:
        url = bench.database()
        with closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(_FILL, ["checkout", "INITIEE", 0, noisy])
            cursor.execute(_FILL, ["commande", "EN_ATTENTE", 60, QUIET])
            cursor.execute("VACUUM ANALYZE")
        database = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"), isolation_level="AUTOCOMMIT")
        leases = Leases(database, discover(), "bench")
        for title, names in (("one statement", None), ("past the noisy table", ["commande"])):
            took_ms, quiet = measured(leases, names)
            sys.stdout.write(f"{title:22}{took_ms:7.1f} ms a claim, {quiet} quiet sagas in {ROUNDS} claims\n")
        database.dispose()


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else NOISY)
