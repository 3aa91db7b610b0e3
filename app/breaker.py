"""A circuit breaker: after several failures in a row, no calls are sent for a time.

closed      every call is sent; a number of failures in a row, within a time window, opens the breaker
open        no call is sent
half open   the time of the open breaker is over, and one trial call is sent: its success closes the breaker, its
            failure opens the breaker again

A person may send one call now. The breaker does not hold it back: the call is a trial call, whatever the state is.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from threading import Lock


class BreakerState(IntEnum):
    """The state of a breaker, with the number that /metrics shows."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass(frozen=True, kw_only=True)
class BreakerPolicy:
    """When a breaker opens, and for how long."""

    #: Number of failures in a row that open the breaker.
    failures: int
    #: How long the breaker stays open, in seconds.
    open_s: float
    #: Longest time from the first to the last of the failures, in seconds. Failures over a longer time do not count.
    window_s: float


class Breaker:
    """A circuit breaker for many threads at once. The caller asks before a call and reports the result after it."""

    def __init__(self, policy: BreakerPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy, self._clock, self._lock = policy, clock, Lock()
        self._failures: deque[float] = deque(maxlen=policy.failures)
        self._open_until: float | None = None
        self._opened: float | None = None
        self._try_until = 0.0

    @property
    def state(self) -> BreakerState:
        until = self._open_until
        if until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._clock() < until else BreakerState.HALF_OPEN

    @property
    def open_for_s(self) -> float | None:
        """Seconds since the breaker opened, also while it is half open; None: it is closed."""
        opened = self._opened
        return None if opened is None else self._clock() - opened

    @property
    def next_try_s(self) -> float | None:
        """Seconds until the breaker lets a trial call through; None: it is closed."""
        until = self._open_until
        return None if until is None else max(until - self._clock(), 0.0)

    def admit(self, lasts_s: float, *, sent_now: bool = False) -> float:
        """Return 0 when a call can be sent now, otherwise the seconds to wait before the next try.

        lasts_s: longest duration of the call in seconds. If the call is the trial call, other calls wait for this time.
        sent_now: a person has the call sent now.
        """
        with self._lock:
            if self._open_until is None:
                return 0.0
            now = self._clock()
            closed_for = 0.0 if sent_now else max(self._open_until, self._try_until) - now
            if closed_for <= 0:
                self._try_until = now + lasts_s
            return max(closed_for, 0.0)

    def succeeded(self) -> bool:
        """Record a successful call. Return True when it closed the breaker."""
        with self._lock:
            was_open = self._open_until is not None
            self._failures.clear()
            self._open_until, self._opened, self._try_until = None, None, 0.0
            return was_open

    def failed(self) -> bool:
        """Record a failed call. Return True when it opened the breaker, for the first time or again."""
        with self._lock:
            now = self._clock()
            self._failures.append(now)
            many = len(self._failures) == self._policy.failures
            opens = self._open_until is not None or (many and now - self._failures[0] <= self._policy.window_s)
            if opens:
                self._opened = now if self._opened is None else self._opened
                self._open_until, self._try_until = now + self._policy.open_s, 0.0
            return opens

    def undecided(self) -> None:
        """Record a call that neither succeeded nor failed. If it was the trial call, the next call is a trial call."""
        with self._lock:
            self._try_until = 0.0

    def open_for(self, seconds: float) -> None:
        """Open the breaker for at least this time, because another process has opened its breaker."""
        with self._lock:
            now = self._clock()
            self._opened = now if self._opened is None else self._opened
            self._open_until = max(self._open_until or 0.0, now + seconds)
