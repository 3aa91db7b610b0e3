"""A page of the documentation as a reader follows it.

The test writes the page's files, runs its commands in one shell, and compares their output.
"""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"(?:`(?P<file>[\w/.-]+)`:\n\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)
_POLL_S = 0.02


@dataclass(frozen=True)
class Block:
    """A fenced block of a page. `file` is the file name in the line before the block, or None."""

    language: str
    text: str
    file: str | None = None


def blocks(page: str) -> Iterator[Block]:
    for found in _BLOCK.finditer(page):
        yield Block(found["language"], found["text"], found["file"])


class Shell:
    """One bash for all blocks. As for a reader, variables, the folder and background jobs stay from block to block."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=folder, env=dict(environment), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self._output, self._read = b"", threading.Thread(target=self._collect, daemon=True)
        self._read.start()

    def run(self, command: str, timeout_s: float = 300) -> str:
        """Run a block and return its output. Fail when a command of the block fails."""
        end = f"the block ended {os.urandom(8).hex()}"
        start, stdin = len(self._output), self._process.stdin
        assert stdin is not None
        # With `set -e` the shell ends at the first command that fails.
        stdin.write(f"set -e\n{command}\necho {end}\n".encode())
        stdin.flush()
        deadline = time.monotonic() + timeout_s
        while end.encode() not in self._output[start:]:
            ended = self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                output = self._output[start:].decode()
                raise AssertionError(f"{'failed' if ended else 'no end in time'}: {command}\n{output}")
            time.sleep(_POLL_S)
        return self._output[start:].decode().partition(end)[0]

    def close(self) -> None:
        """End the shell and every process that it has started."""
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(60)
        self._read.join(60)
        self._process.stdin.close()
        self._process.stdout.close()

    def _collect(self) -> None:
        assert self._process.stdout is not None
        while chunk := self._process.stdout.read1():  # type: ignore[attr-defined]
            self._output += chunk


def differs(output: str, documented: str) -> str:
    """Return the first documented line that the output lacks, or "". The order counts. `…` stands for any text."""
    lines = iter(output.splitlines())
    for line in documented.splitlines():
        wanted = re.compile(".*".join(map(re.escape, line.split("…"))))
        if line.strip("… ") and not any(wanted.fullmatch(found.rstrip()) for found in lines):
            return line
    return ""
