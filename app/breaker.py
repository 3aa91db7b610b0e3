"""A circuit breaker: what fails time after time is left in peace for a while.

closed      everything is let through; so many failures in a row, within the window, open it
open        nothing is let through
half open   once the time is over, a single one tries: its success closes the breaker, its failure opens it again
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from threading import Lock


class BreakerState(IntEnum):
    """As on /metrics."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass(frozen=True, kw_only=True)
class BreakerPolicy:
    """failures: how many in a row, within window_s, open it for open_s."""

    failures: int
    open_s: float
    window_s: float


class Breaker:
    """Used by many threads at once; no lock is held while something it let through goes on."""

    def __init__(self, policy: BreakerPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy, self._clock, self._lock = policy, clock, Lock()
        self._failures: deque[float] = deque(maxlen=policy.failures)
        self._open_until: float | None = None
        self._try_until = 0.0

    @property
    def state(self) -> BreakerState:
        until = self._open_until
        if until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._clock() < until else BreakerState.HALF_OPEN

    def admit(self, lasts_s: float) -> float:
        """Return 0 when one may pass now, else how many seconds to wait before asking again.

        lasts_s: how long it may take, should it be the one that tries.
        """
        with self._lock:
            if self._open_until is None:
                return 0.0
            now = self._clock()
            closed_for = max(self._open_until, self._try_until) - now
            if closed_for <= 0:
                self._try_until = now + lasts_s
            return max(closed_for, 0.0)

    def succeeded(self) -> bool:
        """Take note of a success; tell whether that has closed the breaker."""
        with self._lock:
            was_open = self._open_until is not None
            self._failures.clear()
            self._open_until, self._try_until = None, 0.0
            return was_open

    def failed(self) -> bool:
        """Take note of a failure; tell whether that has opened the breaker, for the first time or again."""
        with self._lock:
            now = self._clock()
            self._failures.append(now)
            many = len(self._failures) == self._policy.failures
            opens = self._open_until is not None or (many and now - self._failures[0] <= self._policy.window_s)
            if opens:
                self._open_until, self._try_until = now + self._policy.open_s, 0.0
            return opens

    def undecided(self) -> None:
        """Take note of an answer that says neither: it counts as nothing, and the next call may try at once."""
        with self._lock:
            self._try_until = 0.0

    def open_for(self, seconds: float) -> None:
        """Be open because somebody else has found it so."""
        with self._lock:
            self._open_until = max(self._open_until or 0.0, self._clock() + seconds)
