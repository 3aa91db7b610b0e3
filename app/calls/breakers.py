"""A circuit breaker for each participant. With Redis, all processes share the breakers' states.

A call that an open breaker blocks is not sent. Its saga defers the call. The deferral does not count as an attempt or a
refusal. A call that an operator sends now is not blocked: it is a trial call.
"""

import time
from collections.abc import Callable, Mapping
from threading import Lock

from app.breaker import Breaker, BreakerPolicy, BreakerState
from app.calls.client import Request, Sender
from app.participant_settings.model import ParticipantSettings
from app.participant_settings.pace import Turns
from app.shared_cache import SharedCache
from machines.replies import Reply

_SERVER_ERROR = 500
#: How often in a row a process leaves the trial call to another process. Afterwards it makes the call itself, so that a
#: lock in Redis that nobody removes cannot keep a breaker open.
_MOST_TURNS_LEFT = 3


def open_reason(participant: str) -> str:
    """Return the reason of a call that an open breaker has held back."""
    return f"the breaker of {participant} is open"


class GuardedSender:
    """Sends each request through the circuit breaker of its participant.

    Each call that an open breaker holds back gets a turn of its own, so that its participant is not overloaded when it
    is back. on_close: called when a breaker has closed.
    """

    def __init__(
        self,
        sender: Sender,
        participants: Mapping[str, ParticipantSettings | None],
        policy: BreakerPolicy,
        cache: SharedCache,
        clock: Callable[[], float] = time.monotonic,
        *,
        on_close: Callable[[], object] = lambda: None,
    ) -> None:
        self._sender, self._policy, self._cache, self._on_close = sender, policy, cache, on_close
        self._clock, self._lock = clock, Lock()
        self._breakers = {name: Breaker(policy, clock) for name in participants}
        self._turns = {name: Turns(settings) for name, settings in participants.items()}
        self._turns_left = dict.fromkeys(self._breakers, 0)

    def send(self, request: Request) -> Reply:
        name, breaker = request.participant, self._breakers[request.participant]
        wait_s = breaker.admit(request.timeout_s, sent_now=request.sent_now)
        trying = breaker.state is not BreakerState.CLOSED
        if wait_s <= 0 and trying and not (self._may_try(name, request.timeout_s) or request.sent_now):
            wait_s = request.timeout_s  # another process sends the trial call
        if wait_s > 0:
            with self._lock:
                turn_s = self._turns[name].take(self._clock() + wait_s)
            return Reply(error=open_reason(name), sent=False, retry_after_s=wait_s, turn_s=turn_s)
        reply = self._sender.send(request)
        # A proxy, a gateway or a limit answered, or there was no credential: the participant's state is not known.
        if reply.turned_away or reply.withheld:
            breaker.undecided()
            if trying:
                self._cache.drop(f"try/{name}")
        elif reply.status is None or reply.status >= _SERVER_ERROR:
            if breaker.failed():
                self._cache.put(f"open/{name}", b"", self._policy.open_s)
                self._cache.drop(f"try/{name}")
        elif breaker.succeeded():
            self._cache.drop(f"open/{name}", f"try/{name}")
            self._on_close()
        return reply

    def _may_try(self, name: str, timeout_s: float) -> bool:
        """Return True when this process makes the trial call of a participant now."""
        others_turn = self._cache.lock(f"try/{name}", timeout_s) is False
        leave = others_turn and self._turns_left[name] < _MOST_TURNS_LEFT
        self._turns_left[name] = self._turns_left[name] + 1 if leave else 0
        return not leave

    @property
    def states(self) -> Mapping[str, BreakerState]:
        return {name: breaker.state for name, breaker in self._breakers.items()}

    @property
    def breakers(self) -> Mapping[str, Breaker]:
        return self._breakers

    def learn(self) -> None:
        """Open the breakers that another process has opened. The runner calls this method with each heartbeat."""
        closed = [name for name, breaker in self._breakers.items() if breaker.state is not BreakerState.OPEN]
        for key, left_s in self._cache.expiries_s([f"open/{name}" for name in closed]).items():
            # The clock of the other process may be ahead of this one.
            self._breakers[key.removeprefix("open/")].open_for(min(left_s, self._policy.open_s))
