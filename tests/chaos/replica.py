"""One orchestrator among several on the same database."""

import os
import re
import signal
import socket
from pathlib import Path

import requests

from tests.support.process import Process
from tests.support.waiting import restartable_port

LEASE_S = 2
SETTINGS = {"LEASE_S": str(LEASE_S), "RECOVERY_INTERVAL_S": "0.2", "THREADS": "8", "BREAKER_OPEN_S": "1"}


class Replica(Process):
    def __init__(self, log: Path, **environment: str) -> None:
        port = restartable_port()
        settings = SETTINGS | environment | {"PORT": str(port), "LOG_LEVEL": os.environ.get("CHAOS_LOG", "ERROR")}
        super().__init__("app", port=port, ready="/ready", log=log, **settings)

    def owners(self) -> list[str]:
        """Return `host:pid` of each process. The column `owner` of a saga adds `:` and a random part."""
        return [f"{socket.gethostname()}:{pid}" for pid in self.workers()]

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def fenced_writes(self) -> int:
        metrics = requests.get(f"{self.url}/metrics", timeout=10).text
        return sum(
            int(float(number)) for number in re.findall(r"^saga_fenced_writes_total (\S+)", metrics, re.MULTILINE)
        )
