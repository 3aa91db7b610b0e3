"""Limits of the calls that one process sends to a participant. A call over a limit is not sent."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from threading import Lock

from app.calls.request import Request, Sender
from app.participant_settings.model import ParticipantSettings
from machines.replies import Reply

#: Seconds until a call tries again after all places were taken. A place is usually free by then: calls take about as
#: long.
CROWDED_S = 0.2


def limit_reason(participant: str) -> str:
    """Return the reason of a call that a limit has held back."""
    return f"the limit of calls to {participant} is reached"


class Limit:
    """The limits of one participant: calls at once, and calls within a period."""

    def __init__(
        self, concurrency: int | None, rate: tuple[int, float] | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._places, self._clock, self._lock = concurrency, clock, Lock()
        calls, self._period_s = rate or (1, 0.0)
        self._sent = deque[float](maxlen=calls)  # when the last calls were sent
        self.in_flight = 0

    def enter(self) -> float:
        """Return 0 when the call may be sent now, otherwise the seconds after which to try again."""
        with self._lock:
            if self._places is not None and self.in_flight >= self._places:
                return CROWDED_S
            now = self._clock()
            if len(self._sent) == self._sent.maxlen and now - self._sent[0] < self._period_s:
                return self._period_s - (now - self._sent[0])
            self._sent.append(now)
            self.in_flight += 1
            return 0.0

    def leave(self) -> None:
        with self._lock:
            self.in_flight -= 1


class LimitedSender:
    """Sends each request within the limits of its participant, or not at all."""

    def __init__(
        self,
        sender: Sender,
        participants: Mapping[str, ParticipantSettings],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sender = sender
        self._limits = {
            name: Limit(settings.concurrency, settings.rate, clock)
            for name, settings in participants.items()
            if settings.concurrency or settings.rate
        }

    def send(self, request: Request) -> Reply:
        limit = self._limits.get(request.participant)
        if limit is None:
            return self._sender.send(request)
        if (wait_s := limit.enter()) > 0:
            return Reply(error=limit_reason(request.participant), sent=False, withheld=True, retry_after_s=wait_s)
        try:
            return self._sender.send(request)
        finally:
            limit.leave()
