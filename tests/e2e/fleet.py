"""Web processes, workers and a Celery beat over one PostgreSQL and one broker, as on several machines."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import requests
import yaml

from tests.support.servers import Participants, Server, start
from tests.support.waiting import eventually, free_port

CART = {"client_id": 4, "magasin_id": 1}
#: The lease of every process, in seconds. A lease is longer than a test, so only the test itself can end it.
LEASE = {"LEASE_S": "600"}


STACK = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.yml").read_text())["services"]


def as_the_stack_does(service: str) -> list[str]:
    """Return the command by which docker-compose.yml runs a service, with this environment's Python."""
    program, *rest = STACK[service]["command"]
    return [str(Path(sys.executable).parent / program), *rest]


class Fleet:
    """Processes over one database and one broker. `end` kills all of them."""

    def __init__(self, log: Path, **environment: str) -> None:
        self._log, self._environment = log, LEASE | environment
        self._processes: list[subprocess.Popen[bytes]] = []
        self._workers: list[subprocess.Popen[bytes]] = []
        self._database = psycopg2.connect(environment["DATABASE_URL"])
        self._database.autocommit = True

    def web(self, **environment: str) -> Server:
        port = free_port()
        settings = self._environment | {"PORT": str(port)} | environment
        server = start("app", "/ready", port, log=self._log, **settings)
        self._processes.append(server.process)
        return server

    def beat(self) -> None:
        self._begin("beat")

    def worker(self) -> subprocess.Popen[bytes]:
        self._workers.append(self._begin("worker"))
        return self._workers[-1]

    def workers(self, count: int) -> list[subprocess.Popen[bytes]]:
        """Return `count` running workers, the oldest first. Start workers when there are fewer."""
        self._workers = [worker for worker in self._workers if worker.poll() is None]
        while len(self._workers) < count:
            self.worker()
        owners, there = {owner(worker) for worker in self._workers}, "SELECT owner FROM replica WHERE role = 'worker'"
        eventually(
            lambda: owners <= {process_of(row[0]) for row in self.rows(there)},
            f"the workers are there; see {self._log}",
        )
        return self._workers[:count]

    def log_lines(self) -> list[str]:
        return self._log.read_text().splitlines()

    def _begin(self, service: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                as_the_stack_does(service),
                env=os.environ | self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._database.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()

    def let_the_lease_end(self, owner: str) -> None:
        """End the leases of all sagas of the process `owner`."""
        self.rows("UPDATE saga SET due_at = clock_timestamp() WHERE owner LIKE %s || ':%%' RETURNING id", owner)

    def ended(self, sagas: Sequence[str]) -> None:
        """Wait until all sagas of the list are completed."""
        done = "SELECT count(*) FROM saga WHERE id = ANY(%s::uuid[]) AND status = 'completed'"
        eventually(lambda: self.rows(done, list(sagas))[0][0] == len(sagas), f"they end; see {self._log}")

    def actors(self, sagas: Sequence[str]) -> set[str]:
        """Return the processes that have moved at least one saga of the list."""
        query = "SELECT DISTINCT actor FROM journal WHERE saga_id = ANY(%s::uuid[]) AND actor LIKE 'engine@%%'"
        return {process_of(row[0].removeprefix("engine@")) for row in self.rows(query, list(sagas))}

    def end(self) -> None:
        for process in self._processes:
            kill(process)
        self._database.close()


def kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def process_of(owner: str) -> str:
    """Return `host:pid` from an owner `host:pid:random`."""
    return owner.rpartition(":")[0]


def owner(process: subprocess.Popen[bytes] | psutil.Process) -> str:
    """Return `host:pid` of a process. The column `owner` of its sagas begins with this text."""
    return f"{socket.gethostname()}:{process.pid}"


def owners(server: Server) -> set[str]:
    """Return `host:pid` of each process of a web server."""
    return {owner(child) for child in psutil.Process(server.process.pid).children()}


def begin(server: Server, count: int, within_s: float = 10.0) -> list[str]:
    """Start sagas with `respond-async`. Each answer must come within `within_s` seconds."""
    url, headers, sagas = f"{server.url}/api/commande/checkout", {"Prefer": "respond-async"}, []
    for _ in range(count):
        answer = requests.post(url, json=CART, headers=headers, timeout=120)
        assert answer.status_code == 202, answer.text
        assert answer.elapsed.total_seconds() < within_s
        sagas.append(answer.json()["saga_id"])
    return sagas


def assert_each_effect_once(participants: Participants, sagas: Sequence[str]) -> None:
    for saga in sagas:
        effects = participants.effects(saga)
        assert len(effects) == 4
        assert set(effects.values()) == {"done"}
    participants.assert_balanced()


def slow_payments(participants: Participants, seconds: float) -> None:
    participants.add_fault("client", kind="slow", path="/4/payer", times=None, seconds=seconds)
