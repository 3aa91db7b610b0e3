"""Real processes: the participants' service, and as many orchestrators as a test starts and kills."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser

from tests.conftest import OPEN
from tests.e2e import forkserver
from tests.e2e.browser import chromium

PATIENCE_S = 180.0  # seconds; a loaded machine starts the whole demo in more than a minute
NAMES = ("panier", "stock", "client", "ventes", "catalogue", "commandes", "recus")
WITH_EFFECTS = ("stock", "client", "ventes", "commandes", "recus")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(look: Callable[[], Any], what: str) -> Any:
    """Look until it is true; fail when patience is over."""
    deadline = time.monotonic() + PATIENCE_S
    while not (seen := look()):
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)
    return seen


@dataclass
class Server:
    """A process that listens on `url`."""

    url: str
    process: subprocess.Popen[bytes] | forkserver.Forked
    environment: Mapping[str, str] = field(default_factory=dict)

    def answers(self, path: str) -> bool:
        assert self.process.poll() is None, f"it ended with {self.process.returncode}"
        try:
            return requests.get(self.url + path, timeout=2).ok
        except (requests.ConnectionError, requests.Timeout):  # not yet, or on a machine that is busy
            return False

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start(module: str, ready: str, port: int, *options: str, log: Path, **environment: str) -> Server:
    environment = {**os.environ, **OPEN, **environment}
    with log.open("ab") as output:
        process = forkserver.start(module, *options, env=environment, stdout=output, stderr=output)
    server = Server(f"http://127.0.0.1:{port}", process, environment)
    eventually(lambda: server.answers(ready), f"{module} answers {ready}; see {log}")
    return server


@dataclass
class Participants:
    """The oracle: what really happened, from those to whom it happened."""

    url: str

    def get(self, path: str) -> Any:
        return requests.get(self.url + path, timeout=5).json()

    def told(self, name: str, **fault: Any) -> None:
        requests.post(f"{self.url}/{name}/_faults", json=fault, timeout=5).raise_for_status()

    def undisturbed(self) -> None:
        for name in NAMES:
            requests.delete(f"{self.url}/{name}/_faults", timeout=5).raise_for_status()

    def effects(self, saga_id: str) -> dict[str, str]:
        """State of each action of a saga that reached a participant, by step."""
        rows = [row for name in WITH_EFFECTS for row in self.get(f"/{name}/_ledger?saga_id={saga_id}")]
        keys = [row["key"] for row in rows]
        assert len(keys) == len(set(keys)), "a key has two rows"
        return {row["step"]: row["state"] for row in rows if row["direction"] == "do"}

    def assert_balanced(self) -> None:
        for produit, counts in self.get("/stock/_balance")["produits"].items():
            assert counts["initial"] == counts["en_main"] + counts["reserve"] + counts["vendu"], produit
            assert counts["reserve"] == 0, f"{produit} is reserved for nobody"
        client = self.get("/client/_balance")
        # A purchase is paid for in sales, an order with a receipt by its receipt.
        sold = sum(self.get(f"/{name}/_balance")["total"] for name in ("ventes", "recus"))
        assert round(client["debits"] - client["remboursements"], 2) == round(sold, 2)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def participants_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Participants]:
    yield from serve_participants(tmp_path_factory.mktemp("participants"))


def serve_participants(folder: Path) -> Iterator[Participants]:
    port = free_port()
    options = ["--port", str(port), "--data", str(folder), "--faults"]
    server = start("participants", "/stock/health", port, *options, log=folder / "log")
    yield Participants(server.url)
    server.kill()


@pytest.fixture
def participants(participants_server: Participants) -> Iterator[Participants]:
    yield participants_server
    participants_server.undisturbed()


@pytest.fixture
def orchestrator(store_url: str, orchestrator_at: Callable[..., Server]) -> Callable[..., Server]:
    """Start an orchestrator over the test's database; every one is killed at the end."""
    return partial(orchestrator_at, store_url)


@pytest.fixture
def orchestrator_at(participants: Participants, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start an orchestrator over the database of a URL."""
    started: list[Server] = []

    def start_one(url: str, **environment: str) -> Server:
        port = free_port()
        settings = {
            "DATABASE_URL": url,
            "PARTICIPANTS_URL": participants.url,
            "PORT": str(port),
            "LEASE_S": "1",
            "RECOVERY_INTERVAL_S": "0.1",
        }
        started.append(start("app", "/ready", port, log=tmp_path / "orchestrator.log", **(settings | environment)))
        return started[-1]

    yield start_one
    for server in started:
        if server.process.poll() is None:
            server.kill()
