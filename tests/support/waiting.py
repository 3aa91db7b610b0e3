"""Free ports, and waiting until a condition is true."""

import random
import socket
import time
from collections.abc import Callable
from typing import Any

HOST = "127.0.0.1"
#: Longest wait for a condition, in seconds. Starting the demo on a loaded machine takes more than a minute.
TIMEOUT_S = 180.0
_POLL_S = 0.02


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def restartable_port() -> int:
    """Return a free port that is still free when the server on it restarts.

    The port is below the range from which the system assigns ports.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port


def waited(look: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> Any:
    """Call `look` until its result is true or the time is over; return the last result."""
    deadline = time.monotonic() + timeout_s
    while not (seen := look()) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return seen


def eventually(look: Callable[[], Any], what: str, timeout_s: float = TIMEOUT_S) -> Any:
    """Call `look` until its result is true and return the result; fail when the time is over."""
    seen = waited(look, timeout_s)
    assert seen, f"never happened: {what}"
    return seen
