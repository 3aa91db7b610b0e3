"""An upgrade from the last release, as docs/operations.md says it, under load and with sagas in flight.

The programs of the release come from its commit in this repository. In a clone without this commit the test is skipped.
"""

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest
import requests

from tests.e2e.fleet import CART
from tests.support.servers import OPEN, Participants, Server, start
from tests.support.waiting import eventually, free_port

ROOT = Path(__file__).parents[2]
#: The commit that counts as the last release while the history has no tag. It has migrations 0001 to 0005.
RECORDED = "8e9e09f6"
ORDER = {
    "client_id": "550e8400-e29b-41d4-a716-446655440002",
    "lignes": [{"produit_id": "550e8400-e29b-41d4-a716-446655440001", "quantite": 1}],
}
IN_FLIGHT, CLIENTS, PAUSE_S = 20, 4, 0.02


def git(*arguments: str) -> str | None:
    """Return the output of git, None when git fails."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return None if done.returncode else done.stdout.strip()


def last_release() -> str | None:
    """Return the commit of the last release before this one, None when this clone does not have it."""
    tag = git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^")
    return git("rev-parse", "--verify", "--quiet", f"{tag or RECORDED}^{{commit}}")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the files of the last release."""
    commit = last_release()
    if commit is None:
        pytest.skip(f"this clone is not deep enough: it has no tag of a release and no commit {RECORDED}")
    folder = tmp_path_factory.mktemp("release")
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


class Load(threading.Thread):
    """Places one order after the other at the replicas in rotation, as a gateway does. Keeps each failed request."""

    def __init__(self, rotation: list[str]) -> None:
        super().__init__()
        self._rotation, self._stopping = rotation, threading.Event()
        self.failed, self.placed = list[str](), 0

    def run(self) -> None:
        key, turns = str(uuid4()), itertools.count()
        while not self._stopping.wait(PAUSE_S):
            replicas = list(self._rotation)
            url, headers = replicas[next(turns) % len(replicas)], {"Idempotency-Key": key}
            try:
                answer = requests.post(f"{url}/api/commande/checkout", json=CART, headers=headers, timeout=60)
            except requests.RequestException as error:
                self.failed.append(f"{url}: {error!r}")
                continue
            if answer.status_code == requests.codes.accepted:
                continue  # the replica is about to end, and another one goes on: ask there with the same key
            if answer.status_code not in {201, 409}:  # 409: the stock is empty, and the order was undone
                self.failed.append(f"{url}: {answer.status_code} {answer.text}")
            self.placed += answer.status_code == requests.codes.created
            key = str(uuid4())

    def end(self) -> None:
        self._stopping.set()
        self.join()


class Upgrade:
    """Replicas of the last release and of this tree on one database, with participants of which one is closed."""

    def __init__(self, folder: Path, url: str, participants: Participants, release: Path) -> None:
        self._folder, self._url, self._release = folder, url, release
        self._commandes_port = free_port()
        self.commandes = Participants(f"http://127.0.0.1:{self._commandes_port}")
        self.rotation, self.running = list[str](), list[Server]()
        self._settings = {
            "DATABASE_URL": url, "PARTICIPANTS_URL": participants.url, "BREAKER_OPEN_S": "1", "LEASE_S": "5",
            "PARTICIPANT_COMMANDES_URL": f"{self.commandes.url}/commandes", "RECOVERY_INTERVAL_S": "0.1",
        }  # fmt: skip

    def migrate(self, tree: Path) -> None:
        program = [sys.executable, "-m", "flask", "--app", "app", "db", "upgrade"]
        environment = os.environ | OPEN | self._settings
        done = subprocess.run(program, cwd=tree, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def begin_old(self) -> Server:
        """Start a replica of the last release. Only a program of its own imports the files of that release."""
        port = free_port()
        environment = os.environ | OPEN | self._settings | {"PORT": str(port)}
        with (self._folder / "old.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "app"],
                cwd=self._release,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        server = Server(f"http://127.0.0.1:{port}", process)
        self.running.append(server)
        eventually(lambda: server.answers("/ready"), f"the last release is ready; see {self._folder}")
        self.rotation.append(server.url)
        return server

    def begin_new(self) -> Server:
        port = free_port()
        server = start("app", "/ready", port, log=self._folder / "new.log", PORT=str(port), **self._settings)
        self.running.append(server)
        self.rotation.append(server.url)
        return server

    def replace(self, old: Server) -> None:
        """Start a replica of this tree, take one of the last release out of rotation, and end it."""
        self.begin_new()
        self.rotation.remove(old.url)
        os.kill(old.process.pid, signal.SIGTERM)
        assert old.process.wait(60) == 0, "a replica of the last release hands over and exits with 0"

    def open_commandes(self) -> None:
        """Start the participant that was closed."""
        options = ["--port", str(self._commandes_port), "--only", "commandes", "--data", str(self._folder)]
        log = self._folder / "commandes.log"
        self.running.append(start("participants", "/commandes/health", self._commandes_port, *options, log=log))

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg2.connect(self._url) as connection, connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()

    def end(self) -> None:
        for server in self.running:
            if server.process.poll() is None:
                server.kill()


@pytest.fixture
def upgrade(tmp_path: Path, postgres_url: str, participants: Participants, release: Path) -> Iterator[Upgrade]:
    upgrade = Upgrade(tmp_path, postgres_url, participants, release)
    upgrade.migrate(release)
    yield upgrade
    upgrade.end()


def begin(url: str) -> list[str]:
    """Start orders that wait for the closed participant. Return their ids."""
    sagas = []
    for _ in range(IN_FLIGHT):
        headers = {"Prefer": "respond-async"}
        answer = requests.post(f"{url}/api/saga/commandes/", json=ORDER, headers=headers, timeout=60)
        assert answer.status_code == 202, answer.text
        sagas.append(answer.json()["saga_id"])
    return sagas


def test_upgrade_under_load_fails_no_request_and_ends_the_sagas_in_flight(upgrade, participants):
    old = [upgrade.begin_old(), upgrade.begin_old()]
    sagas = begin(old[0].url)
    waiting = "SELECT count(*) FROM saga WHERE id = ANY(%s::uuid[]) AND state = 'CREATION_COMMANDE'"
    eventually(lambda: upgrade.rows(waiting, sagas) == [(IN_FLIGHT,)], "the sagas wait for the closed participant")
    load = [Load(upgrade.rotation) for _ in range(CLIENTS)]
    for each in load:
        each.start()
    eventually(lambda: all(each.placed > 2 for each in load), "orders are placed")
    upgrade.migrate(ROOT)
    assert upgrade.rows(waiting, sagas) == [(IN_FLIGHT,)]
    for replica in old:
        upgrade.replace(replica)
    upgrade.open_commandes()
    done = "SELECT count(*) FROM saga WHERE id = ANY(%s::uuid[]) AND status = 'completed'"
    eventually(lambda: upgrade.rows(done, sagas) == [(IN_FLIGHT,)], "this release ends the sagas of the last one")
    placed = sum(each.placed for each in load)
    eventually(lambda: sum(each.placed for each in load) > placed, "orders are placed after the upgrade")
    for each in load:
        each.end()
    assert [failure for each in load for failure in each.failed] == []
    for saga in sagas:
        effects = upgrade.commandes.get(f"/commandes/_ledger?saga_id={saga}")
        assert [row["state"] for row in effects if row["direction"] == "do"] == ["done"]
    eventually(lambda: upgrade.rows("SELECT count(*) FROM saga WHERE status = 'running'") == [(0,)], "all sagas end")
    participants.assert_balanced()
