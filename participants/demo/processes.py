"""The programs that the demo starts and always stops, and the signals that stop the demo.

Signals such as Ctrl-C only take effect where the demo waits. A signal that raised an exception anywhere could lose a
process that was just being started.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

ROOT = Path(__file__).parents[2]
START_S = 60.0
STOP_S = 10.0
POLL_S = 0.05
TAIL_LINES = 15
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: Only these variables are passed to a program, so that no setting of the shell, such as a real database, takes effect.
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")
INHERITED_PREFIXES = ("LC_", "LD_", "DYLD_", "PYTHON")


class StoppedError(Exception):
    """A signal requested the demo to stop."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number


class StoppableClock:
    """A clock whose sleep ends early when a signal arrives."""

    def __init__(self) -> None:
        self._stop_requested = threading.Event()
        self._signal = 0
        for number in SIGNALS:
            # Under `nohup` SIGHUP is ignored and stays ignored.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._request_stop)

    def sleep(self, seconds: float) -> None:
        """Sleep for this many seconds. Raise StoppedError after a signal."""
        if self._stop_requested.wait(seconds):
            raise StoppedError(self._signal)

    def _request_stop(self, number: int, _frame: object) -> None:
        self._signal = number
        self._stop_requested.set()


class ProgramError(Exception):
    """A program did not start, or it ended; the message contains the end of its log."""


class Program:
    """`python -m <arguments>` in its own process group, so that Ctrl-C in a terminal only reaches the demo.

    stdin_text: written to the program's stdin, where no other user can read it.
    """

    def __init__(
        self, name: str, arguments: tuple[str, ...], log: Path, environment: Mapping[str, str], stdin_text: str = ""
    ) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  no input from outside
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
            stdin.write(f"{stdin_text}\n".encode())

    @property
    def group(self) -> int:
        """The id of the process group; a signal to it reaches all its processes."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        # The group may still have processes when the program itself has ended.
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
    """The started programs, with their logs in `folder`. The end of the `with` block stops them in reverse order."""

    def __init__(self, folder: Path, clock: StoppableClock) -> None:
        self._folder, self._clock = folder, clock
        self._started: list[Program] = []

    def start(self, name: str, *arguments: str, environment: Mapping[str, str], stdin_text: str = "") -> Program:
        log = self._folder / f"{name.replace(' ', '-')}.log"
        program = Program(name, arguments, log, environment, stdin_text)
        self._started.append(program)
        return program

    def until_done(self, program: Program) -> None:
        """Wait for the end of a program. Raise ProgramError when it fails or does not end in time."""
        deadline = time.monotonic() + START_S
        while program.exit_code is None:
            if time.monotonic() > deadline:
                raise program.failed(f"did not end within {START_S:.0f} s")
            self._clock.sleep(POLL_S)
        if program.exit_code:
            raise program.failed(f"failed ({program.exit_code})")

    def until_ready(self, program: Program, url: str) -> None:
        """Wait until the program answers 200 at `url`. Raise ProgramError when it ends or is not ready in time."""
        deadline = time.monotonic() + START_S
        while not _answers(url):
            if program.exit_code is not None:
                raise program.failed(f"ended at once ({program.exit_code})")
            if time.monotonic() > deadline:
                raise program.failed(f"not ready within {START_S:.0f} s")
            self._clock.sleep(POLL_S)

    def until_one_ends(self, *programs: Program) -> Program:
        """Wait until one of the programs ends, and return that program. Raise StoppedError."""
        while True:
            for program in programs:
                if program.exit_code is not None:
                    return program
            self._clock.sleep(0.5)

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
        session.trust_env = False  # never use a proxy for loopback
        return session.get(url, timeout=2).ok
    return False
