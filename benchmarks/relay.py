"""Measure how many events are published a second by one, two and four processes, on PostgreSQL.

`python -m benchmarks.relay [EVENTS]`. A publisher waits 2 ms for the confirmation of each event, as over a network.
"""

import sys
import threading
import time
from contextlib import closing

import psycopg2
from prometheus_client import CollectorRegistry
from sqlalchemy import create_engine

from app.events.relay import Relay
from app.store.outbox import Outbox
from benchmarks.harness import open_harness

EVENTS, CONFIRMED_S = 4_000, 0.002
_FILL = """
    INSERT INTO saga (id, definition, definition_version, state, status, data, attempt, deferrals, epoch, version,
                      claims, unsure, created_at, updated_at, entered_at, moves)
    SELECT gen_random_uuid(), 'checkout', 1, 'CONFIRMEE', 'completed', '{}', 0, 0, 1, 1, 0, false, now(), now(), now(),
           '[{"seq": 1, "trigger": "start", "dest": "INITIEE", "actor": "client", "event": "Began"}]'
    FROM generate_series(1, %s)
"""


class SlowBroker:
    """A broker whose confirmation takes CONFIRMED_S."""

    def publish(self, _event: dict[str, object]) -> None:
        time.sleep(CONFIRMED_S)

    def close(self) -> None:
        pass


def relay(url: str, number: int) -> Relay:
    database = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"), isolation_level="AUTOCOMMIT")
    stopping = threading.Event()
    return Relay(
        Outbox(database, f"process {number}"), SlowBroker(), CollectorRegistry(), names=(), wake=threading.Event(),
        stopping=stopping,
    )  # fmt: skip


def published_by(relay: Relay, until_empty: threading.Event) -> None:
    while not until_empty.is_set():
        if not relay.publish_batch():
            time.sleep(CONFIRMED_S)


def main(events: int) -> None:
    with open_harness() as bench:
        url = bench.database()
        with closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            for processes in (1, 2, 4):
                cursor.execute(_FILL, [events])
                cursor.execute("VACUUM ANALYZE")
                empty = threading.Event()
                threads = [
                    threading.Thread(target=published_by, args=(relay(url, number), empty))
                    for number in range(processes)
                ]
                began = time.monotonic()
                for thread in threads:
                    thread.start()
                while cursor.execute("SELECT 1 FROM outbox LIMIT 1") or cursor.fetchone():
                    time.sleep(0.02)
                took_s = time.monotonic() - began
                empty.set()
                for thread in threads:
                    thread.join()
                sys.stdout.write(f"{processes} processes: {events / took_s:8,.0f} events a second\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else EVENTS)
