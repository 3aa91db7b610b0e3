"""The programs of the service as processes that listen at a URL, and a reader of the participants' books."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.support import forkserver
from tests.support.waiting import eventually, free_port

#: Settings of a service without API keys, for tests that are not about access control.
OPEN = {"API_AUTH": "off", "SECRET_KEY": "not a secret, for it is in the tests"}
NAMES = ("panier", "stock", "client", "ventes", "catalogue", "commandes", "recus")
WITH_EFFECTS = ("stock", "client", "ventes", "commandes", "recus")


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
        except (requests.ConnectionError, requests.Timeout):  # not started yet, or the machine is busy
            return False

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start(module: str, ready: str, port: int, *options: str, log: Path, **environment: str) -> Server:
    environment = {**os.environ, **OPEN, **environment}
    with log.open("ab") as output:
        process = forkserver.start(module, *options, env=environment, stdout=output, stderr=output)
    server = Server(f"http://127.0.0.1:{port}", process, environment)
    try:
        eventually(lambda: server.answers(ready), f"{module} answers {ready}; see {log}")
    except BaseException:
        if process.poll() is None:
            server.kill()
        raise
    return server


@dataclass
class Participants:
    """Reads the effects that really happened, from the participants."""

    url: str

    def get(self, path: str) -> Any:
        return requests.get(self.url + path, timeout=5).json()

    def add_fault(self, name: str, **fault: Any) -> None:
        requests.post(f"{self.url}/{name}/_faults", json=fault, timeout=5).raise_for_status()

    def clear_faults(self) -> None:
        for name in NAMES:
            requests.delete(f"{self.url}/{name}/_faults", timeout=5).raise_for_status()

    def effects(self, saga_id: str) -> dict[str, str]:
        """Return the state of each action of the saga that reached a participant, by the name of its step."""
        rows = [row for name in WITH_EFFECTS for row in self.get(f"/{name}/_ledger?saga_id={saga_id}")]
        keys = [row["key"] for row in rows]
        assert len(keys) == len(set(keys)), "a key has two rows"
        return {row["step"]: row["state"] for row in rows if row["direction"] == "do"}

    def assert_balanced(self) -> None:
        for produit, counts in self.get("/stock/_balance")["produits"].items():
            assert counts["initial"] == counts["en_main"] + counts["reserve"] + counts["vendu"], produit
            assert counts["reserve"] == 0, f"{produit} is reserved for nobody"
        client = self.get("/client/_balance")
        # What the clients paid is recorded either as a sale (ventes) or as a receipt (recus), never as both.
        sold = sum(self.get(f"/{name}/_balance")["total"] for name in ("ventes", "recus"))
        assert round(client["debits"] - client["remboursements"], 2) == round(sold, 2)


def serve_participants(folder: Path) -> Iterator[Participants]:
    port = free_port()
    options = ["--port", str(port), "--data", str(folder), "--faults"]
    server = start("participants", "/stock/health", port, *options, log=folder / "log")
    yield Participants(server.url)
    server.kill()
