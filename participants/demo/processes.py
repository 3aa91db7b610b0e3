"""The programs that the demo starts, and stops without fail."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from participants.demo.stopping import Patience

ROOT = Path(__file__).parents[2]
START_S = 60.0
STOP_S = 10.0
GLANCE_S = 0.05
TAIL_LINES = 15

#: Nothing else of the environment reaches a program: no setting of the shell, say of a real database, may.
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")
INHERITED_PREFIXES = ("LC_", "LD_", "DYLD_", "PYTHON")


class ProgramError(Exception):
    """A program did not start, or ended; the text holds the end of its log."""


class Program:
    """`python -m <arguments>`, in a process group of its own: Ctrl-C in a terminal reaches the demo alone.

    told: what it reads from stdin, where nobody else sees it.
    """

    def __init__(
        self, name: str, arguments: tuple[str, ...], log: Path, environment: Mapping[str, str], told: str = ""
    ) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  the arguments are ours
                [sys.executable, "-m", *arguments],
                cwd=ROOT,
                env={**_inherited(), **environment},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        assert self._process.stdin is not None
        with self._process.stdin as stdin, suppress(BrokenPipeError):
            stdin.write(f"{told}\n".encode())

    @property
    def group(self) -> int:
        """The number of its process group, with which it can be killed whole."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        # Its group may outlive it.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def wait(self, seconds: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def failed(self, what: str) -> ProgramError:
        lines = self._log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        tail = "\n".join(f"  | {line}" for line in lines)
        return ProgramError(f"{self.name}: {what}; the end of the log:\n{tail or '  | (empty)'}")


class Programs:
    """Every program started, with its log in `folder`; the end of the `with` stops them all, last one first."""

    def __init__(self, folder: Path, patience: Patience) -> None:
        self._folder, self._patience = folder, patience
        self._started: list[Program] = []

    def start(self, name: str, *arguments: str, environment: Mapping[str, str], told: str = "") -> Program:
        log = self._folder / f"{name.replace(' ', '-')}.log"
        program = Program(name, arguments, log, environment, told)
        self._started.append(program)
        return program

    def until_done(self, program: Program) -> None:
        """Wait for a program that has an end."""
        deadline = time.monotonic() + START_S
        while program.exit_code is None:
            if time.monotonic() > deadline:
                raise program.failed(f"did not end within {START_S:.0f} s")
            self._patience.wait(GLANCE_S)
        if program.exit_code:
            raise program.failed(f"failed ({program.exit_code})")

    def until_ready(self, program: Program, url: str) -> None:
        """Wait until the program answers 200 at `url`."""
        deadline = time.monotonic() + START_S
        while not _answers(url):
            if program.exit_code is not None:
                raise program.failed(f"ended at once ({program.exit_code})")
            if time.monotonic() > deadline:
                raise program.failed(f"not ready within {START_S:.0f} s")
            self._patience.wait(GLANCE_S)

    def until_one_ends(self, *programs: Program) -> Program:
        """Stay for as long as all of these do, and give the one that has ended. Raises StoppedError."""
        while True:
            for program in programs:
                if program.exit_code is not None:
                    return program
            self._patience.wait(0.5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for program in reversed(self._started):
            program.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        for program in reversed(self._started):
            program.wait(max(0.0, deadline - time.monotonic()))
            program.signal(signal.SIGKILL)
            program.wait(STOP_S)


def _inherited() -> dict[str, str]:
    return {n: v for n, v in os.environ.items() if n in INHERITED or n.startswith(INHERITED_PREFIXES)}


def _answers(url: str) -> bool:
    with suppress(requests.RequestException), requests.Session() as session:
        session.trust_env = False  # no proxy stands before the loopback
        return session.get(url, timeout=2).ok
    return False
