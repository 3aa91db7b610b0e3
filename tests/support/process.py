"""A server in its own session, so that the server and its workers can be stopped and killed together."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import requests

from tests.support.servers import OPEN
from tests.support.waiting import HOST, eventually

ROOT = Path(__file__).parents[2]


class Process:
    """A process `python -m module` that listens on `url`. It is ready when a GET of the path `ready` succeeds."""

    def __init__(self, module: str, *options: str, port: int, ready: str, log: Path, **environment: str) -> None:
        self.url = f"http://{HOST}:{port}"
        self._command = [sys.executable, "-m", module, *options]
        self._ready, self._log, self._environment = ready, log, environment
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start the process without waiting for its first answer."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env={**os.environ, **OPEN, **self._environment},
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"it ended with {self._process.returncode}; see {self._log}"
        try:
            return requests.get(self.url + self._ready, timeout=1).ok
        except requests.RequestException:
            return False

    def wait_until_ready(self) -> None:
        eventually(self.answers, f"{self._command[2]} answers {self._ready}; see {self._log}")

    def workers(self) -> list[int]:
        assert self._process is not None
        return [child.pid for child in psutil.Process(self._process.pid).children(recursive=True)]

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGKILL)
            self._process.wait()
