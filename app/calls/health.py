"""What this process sees of each participant: its calls and failures of the last minute, and the last error.

Each process writes this report with its heartbeat, so that every process can show the reports of all.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from math import ceil
from threading import Lock
from typing import Any

from app.breaker import Breaker
from app.calls.client import Request, Sender
from machines.replies import Reply

#: Length of the time over which calls are counted, in seconds.
WINDOW_S = 60
#: Largest number of durations from which the percentile is computed; more are not needed for a number on a page.
_MOST_DURATIONS = 500
_P95 = 0.95
_SERVER_ERROR = 500


class CallRecord:
    """The calls of this process to one participant."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._lock = clock, Lock()
        self._seconds = deque[list[int]]()  # second, calls in it, failed calls in it
        self._durations = deque[tuple[float, float]](maxlen=_MOST_DURATIONS)
        self._error: tuple[float, str] | None = None

    def add(self, reply: Reply) -> None:
        now, error = self._clock(), error_of(reply)
        with self._lock:
            if not self._seconds or self._seconds[-1][0] != int(now):
                self._seconds.append([int(now), 0, 0])
                self._forget(now)
            self._seconds[-1][1] += 1
            self._durations.append((now, reply.duration_ms))
            if error:
                self._seconds[-1][2] += 1
                self._error = now, error

    def report(self) -> dict[str, Any]:
        """Return the counts of the last minute, and the last error with its age in seconds."""
        now = self._clock()
        with self._lock:
            self._forget(now)
            calls, failed = (sum(second[n] for second in self._seconds) for n in (1, 2))
            took = sorted(ms for at, ms in self._durations if now - at < WINDOW_S)
            error = self._error
        return {
            "calls": calls,
            "failed": failed,
            "p95_ms": round(took[ceil(_P95 * len(took)) - 1], 1) if took else None,
            "error": error and error[1],
            "error_age_s": error and round(now - error[0], 1),
        }

    def _forget(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] <= int(now) - WINDOW_S:
            self._seconds.popleft()


def error_of(reply: Reply) -> str:
    """Return the error of a call in a few words; "" when the participant itself answered.

    The words of the participant are left out, because they can quote the data of a saga.
    """
    if reply.impossible:
        return ""
    if reply.status is None:
        return reply.error
    if reply.status < _SERVER_ERROR and not reply.turned_away:
        return ""
    known = reply.status in HTTPStatus.__members__.values()
    return f"{reply.status} {HTTPStatus(reply.status).phrase}" if known else str(reply.status)


class RecordingSender:
    """Records the result of each request that reaches it."""

    def __init__(
        self, sender: Sender, participants: Iterable[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sender = sender
        self._records = {name: CallRecord(clock) for name in participants}

    def send(self, request: Request) -> Reply:
        reply = self._sender.send(request)
        self._records[request.participant].add(reply)
        return reply

    def reports(self, breakers: Mapping[str, Breaker]) -> dict[str, dict[str, Any]]:
        """Return the report of each participant about which there is something to say, for the heartbeat."""
        found = {}
        for name, record in self._records.items():
            report, open_for_s = record.report(), breakers[name].open_for_s
            if open_for_s is not None:
                report |= {
                    "breaker": breakers[name].state.name.lower().replace("_", " "),
                    "open_for_s": round(open_for_s, 1),
                    "next_try_s": round(breakers[name].next_try_s or 0.0, 1),
                }
            if report["calls"] or report["error"] or open_for_s is not None:
                found[name] = report
        return found
