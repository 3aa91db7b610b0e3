"""Run the service's programs as forks of one server process, because importing the service takes 2 s of CPU time.

The server, `python -m tests.support.forkserver FD`, imports the service and reads requests from the socket FD. `start`
and `run` send them. For each request the server forks a process, which does what `python -m MODULE …` does after its
imports. When the forked process has ended, the server sends its exit status.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import IO

from machines.discovery import discover

ROOT = Path(__file__).parents[2]
#: The modules that the programs import. `app.__main__` is not imported, because `runpy` runs it as the program.
_IMPORTS = (
    "app.cli",
    "app.factory",
    "app.serving",
    "granian.server",
    "flask.cli",
    "alembic.script",
    "kombu.transport.memory",
)
#: Variables whose names begin with these prefixes have no effect in a fork, because Python or a library reads them when
#: it starts. With WORKERS, `python -m app` replaces itself with a new Python process.
_READ_BEFORE = ("PYTHON", "PROMETHEUS_MULTIPROC_DIR", "OTEL_PYTHON", "OTEL_PROPAGATORS", "WORKERS")
_STREAMS = 3
_REQUEST_BYTES = 1 << 17  # largest size of a request; its environment takes a few thousand bytes
_ANSWER_BYTES = 16


class Forked:
    """A forked program, with the part of Popen's interface that the tests use."""

    def __init__(self, command: tuple[str, ...], env: dict[str, str], streams: list[IO[bytes]]) -> None:
        self.returncode: int | None = None
        self._answers, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = json.dumps([[os.fsdecode(word) for word in command], env, str(Path.cwd())]).encode()
        with theirs:
            socket.send_fds(_server(), [request], [file.fileno() for file in [*streams, theirs]])
        self.pid = int(self._answers.recv(_ANSWER_BYTES))

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._answers.settimeout(timeout)
            try:
                self.returncode = int(self._answers.recv(_ANSWER_BYTES))
            except (BlockingIOError, TimeoutError):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0) from None
            self._answers.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def start(
    *command: str, env: dict[str, str], stdout: IO[bytes], stderr: IO[bytes], stdin: IO[bytes] | None = None
) -> "subprocess.Popen[bytes] | Forked":
    """Start `python -m command` in its own session.

    The program is forked. If `env` changes a variable of `_READ_BEFORE`, a new Python process is started instead.
    """
    if any(name.startswith(_READ_BEFORE) and os.environ.get(name) != value for name, value in env.items()):
        plain = [sys.executable, "-m", *command]
        return subprocess.Popen(plain, env=env, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True)
    with Path(os.devnull).open("rb") as nothing:
        return Forked(command, env, [stdin or nothing, stdout, stderr])


def run(
    *command: str, env: dict[str, str], stdin: bytes = b"", timeout: float = 60
) -> "subprocess.CompletedProcess[bytes]":
    """Run `python -m command` to its end. Return the exit status and the output."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        given.write(stdin)
        given.seek(0)
        code = start(*command, env=env, stdin=given, stdout=output, stderr=errors).wait(timeout)
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(command, code, output.read(), errors.read())


@cache
def _server() -> socket.socket:
    """Start the fork server of this process. The server ends with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-m", __name__, str(theirs.fileno())]
        silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()], **silent)
    atexit.register(process.wait)
    atexit.register(ours.close)  # called before `process.wait`; the closed socket ends the server
    return ours


def _serve(requests: socket.socket) -> tuple[str, ...]:
    """Serve requests until the socket closes. In each forked process, return the command that it must run."""
    ended, wake = socket.socketpair()
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector, requests, ended, wake:
        selector.register(requests, selectors.EVENT_READ)
        selector.register(ended, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if ended in ready:
                ended.recv(1024)
                _tell_ended(running)
            if requests not in ready:
                continue
            request, files, _, _ = socket.recv_fds(requests, _REQUEST_BYTES, _STREAMS + 1)
            if not request:
                for pid in running:  # a test that failed has left them, or this run of the tests was killed
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)
                sys.exit()
            command, environment, folder = json.loads(request)
            if pid := os.fork():
                for file in files[:_STREAMS]:
                    os.close(file)
                running[pid] = socket.socket(fileno=files[_STREAMS])
                running[pid].send(str(pid).encode())
                continue
            for answers in running.values():
                answers.close()
            signal.set_wakeup_fd(-1)
            break
    _become(environment, folder, files)
    return tuple(command)


def _tell_ended(running: dict[int, socket.socket]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        # An OSError means that the process that sent the request has ended.
        with running.pop(pid) as answers, contextlib.suppress(OSError):
            answers.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(environment: dict[str, str], folder: str, files: list[int]) -> None:
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, file in enumerate(files[:_STREAMS]):
        os.dup2(file, number)
    for file in files:
        os.close(file)


if __name__ == "__main__":
    for module in _IMPORTS:
        importlib.import_module(module)
    discover()  # imports the tables
    gc.collect()
    gc.freeze()
    module, *arguments = _serve(socket.socket(fileno=int(sys.argv[1])))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
