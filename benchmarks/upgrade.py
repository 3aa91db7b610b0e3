"""Measure the migrations since an earlier revision, on PostgreSQL with a million sagas, while replicas take orders.

`python -m benchmarks.upgrade REVISION [SAGAS]`. Two replicas of REVISION serve orders, and two writers commit sagas as
a replica does. Printed are the longest request and the longest write before and during the migrations, and then during
`saga partition`, and how often a replica was not ready. The exit code is 1 when a request failed, a replica was not
ready, or a write took over 1 s.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from uuid import uuid4

import psycopg2
import requests

from benchmarks import harness
from benchmarks.harness import Harness, free_port, open_harness, settings
from benchmarks.releases import tree_of

SAGAS, CLIENTS, WRITERS, BEFORE_S, LIMIT_S = 1_000_000, 2, 2, 15.0, 1.0
AFTER_S = 3.0  # the load goes on after each command
PAUSE_S = 0.02  # between two requests of a client and between two commits of a writer
READY_S = 0.2  # between two looks at /ready
CART = {"client_id": 4, "magasin_id": 1}
_COLUMNS = """id, definition, definition_version, state, status, data, attempt, deferrals, epoch, version, due_at,
    created_at, updated_at, entered_at, moves"""
_FILL = f"""
    INSERT INTO saga ({_COLUMNS})
    SELECT gen_random_uuid(), 'checkout', 1, 'CONFIRMEE', 'completed', '{{"client_id": 4, "magasin_id": 1}}', 0, 0, 1,
           5, NULL, past, past, past, '[{{"seq": 1, "trigger": "start", "dest": "INITIEE", "actor": "client"}}]'
    FROM (SELECT now() - random() * interval '30 days' AS past FROM generate_series(1, %s)) AS each
"""  # noqa: S608  built from constants
_INSERT = f"""
    INSERT INTO saga ({_COLUMNS})
    VALUES (%s, 'checkout', 1, 'CONFIRMEE', 'completed', '{{}}', 0, 0, 1, 1, NULL, now(), now(), now(),
            '[{{"seq": 1, "trigger": "start", "dest": "INITIEE", "actor": "client"}}]')
"""  # noqa: S608
_UPDATE = """
    UPDATE saga SET version = version + 1, updated_at = now(),
                    moves = '[{"seq": 2, "trigger": "retry", "dest": "INITIEE", "actor": "engine"}]'
    WHERE id = %s
"""


@dataclass
class Seen:
    """What the clients, the writers and the looks at /ready have seen in one phase."""

    requests: list[float] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def line(self, name: str) -> str:
        slowest, write = max(self.requests, default=0.0), max(self.writes, default=0.0)
        return (
            f"{name:20}{len(self.requests):7,} requests, longest {slowest:6.3f} s; "
            f"{len(self.writes):7,} writes, longest {write:6.3f} s; {len(self.problems)} problems\n"
        )


class Load:
    """Threads that place orders, commit sagas and look at /ready until the end. `seen`: where they write."""

    def __init__(self, url: str, replicas: list[str]) -> None:
        self.seen, self._url, self._replicas = Seen(), url, replicas
        self._stopping = threading.Event()
        self._threads = [
            *(threading.Thread(target=self._place, args=(number,)) for number in range(CLIENTS)),
            *(threading.Thread(target=self._write) for _ in range(WRITERS)),
            *(threading.Thread(target=self._look, args=(replica,)) for replica in replicas),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _place(self, number: int) -> None:
        while not self._stopping.wait(PAUSE_S):
            number += 1
            place = f"{self._replicas[number % len(self._replicas)]}/api/commande/checkout"
            seen, began = self.seen, time.monotonic()
            answer = _answered(lambda place=place: requests.post(place, json=CART, timeout=60))  # type: ignore[misc]
            seen.requests.append(time.monotonic() - began)
            if answer not in {"201", "202", "409"}:
                seen.problems.append(f"{place}: {answer}")

    def _write(self) -> None:
        with closing(psycopg2.connect(self._url)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            while not self._stopping.wait(PAUSE_S):
                saga_id = str(uuid4())
                for statement in (_INSERT, _UPDATE):
                    seen, began = self.seen, time.monotonic()
                    cursor.execute(statement, [saga_id])
                    seen.writes.append(time.monotonic() - began)

    def _look(self, replica: str) -> None:
        while not self._stopping.wait(READY_S):
            answer = _answered(lambda: requests.get(f"{replica}/ready", timeout=10))
            if answer != "200":
                self.seen.problems.append(f"{replica}/ready: {answer}")


def _answered(send: Callable[[], requests.Response]) -> str:
    """Return the status of the answer, or the error."""
    try:
        answer = send()
    except requests.RequestException as error:
        return repr(error)
    return str(answer.status_code) if answer.status_code < 500 else f"{answer.status_code} {answer.text}"  # noqa: PLR2004


def replica(bench: Harness, url: str, participants: str) -> str:
    """Start a replica of the tree of the harness. Return its URL."""
    port = free_port()
    bench.program("app", PORT=str(port), **settings(url, participants))
    base, until = f"http://127.0.0.1:{port}", time.monotonic() + 2 * harness.START_S
    while _answered(lambda: requests.get(f"{base}/ready", timeout=5)) != "200":
        if time.monotonic() > until:
            raise SystemExit(f"{base} is not ready")
        time.sleep(0.2)
    return base


def filled(bench: Harness, sagas: int) -> str:
    """Return the URL of a database of the tree of the harness with that many sagas."""
    url = bench.database()
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(_FILL, [sagas])
        connection.cursor().execute("VACUUM ANALYZE")
    bench.settle()
    return url


def run(url: str, *command: str) -> tuple[float, int]:
    """Run a command of this tree on the database. Return how long it took, in seconds, and its exit code."""
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "flask", "--app", "app", *command],
        cwd=harness.ROOT, env=os.environ | {"DATABASE_URL": url}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    return time.monotonic() - began, done.returncode


def measure(bench: Harness, tree: Path, sagas: int) -> int:
    """Print what was seen before and during the migrations and the partitioning. Return the exit code."""
    participants = bench.participants()
    bench.root = tree
    url = filled(bench, sagas)
    with Load(url, [replica(bench, url, participants) for _ in range(2)]) as load:
        time.sleep(BEFORE_S)
        before, load.seen = load.seen, Seen()
        upgraded_s, failed = run(url, "db", "upgrade")
        time.sleep(AFTER_S)
        during, load.seen = load.seen, Seen()
        partitioned_s, failed_too = run(url, "saga", "partition")
        time.sleep(AFTER_S)
        partitioning = load.seen
    sys.stdout.write(f"{sagas:,} sagas; the migrations took {upgraded_s:.1f} s and ended with {failed}; ")
    sys.stdout.write(f"`saga partition` took {partitioned_s:.1f} s and ended with {failed_too}\n")
    sys.stdout.write(before.line("before") + during.line("migrations") + partitioning.line("partitioning"))
    problems = [*during.problems, *partitioning.problems]
    sys.stdout.writelines(f"  {problem[:200]}\n" for problem in problems[:10])
    return int(bool(failed or failed_too or problems) or max(during.writes + partitioning.writes) > LIMIT_S)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("revision", help="a revision of git, as a commit, a tag or a branch")
    arguments.add_argument("sagas", type=int, nargs="?", default=SAGAS)
    given = arguments.parse_args()
    with tree_of(given.revision) as tree, open_harness() as bench:
        return measure(bench, tree, given.sagas)


if __name__ == "__main__":
    sys.exit(main())
