"""How long a saga waits: a second reading of `for_s=`, `within_s=` and `until=`, and of the limits of a Retry-After.

The search has no clock: a wait is over or it is not. So what the engine takes as the end of a wait is compared here.
"""

import datetime as dt
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any, NoReturn

from machines.families import FamilyLoop
from machines.later import Later
from machines.loop import LONGEST_RETRY_AFTER_S
from machines.replies import Reply
from machines.retry import Retry
from machines.running import RunningSaga
from machines.transitions import State, Trigger
from machines.verify.properties import Broken
from machines.verify.values import Sources, UnknownError, value_of
from machines.waiting import Waiting

_PROPERTY = "as the signal says"
#: A reply with this Retry-After, in seconds, is obeyed up to the limits of the wait.
_FOR_EVER: Mapping[str, Any] = {"sent": True, "retry_after_s": 1e8}
#: Seconds to the date of `until=`, as the clock of the search answers while the wait is not over.
AHEAD_S = 60.0
#: Seconds to a deadline that comes before the end of every wait. A power of two, so that no sum rounds it.
NEAR_S = 2**-9
_LENGTH_OF_DATE = len("2026-01-31")


class TimedLoop(FamilyLoop[RunningSaga]):
    """A loop that compares each decision about a wait with its table."""

    def __init__(self) -> None:
        #: Purposes of the requests of this turn.
        self.asked: set[str] = set()
        #: Moment to which a pause was found to last.
        self.moment: dt.datetime | None = None

    @abstractmethod
    def leave(self, point: Broken) -> NoReturn:
        """End the run."""

    def _end_wait(self, saga: RunningSaga) -> float:
        at, before = saga.current, len(saga.unsaved)
        left_s = super()._end_wait(saga)
        if at.awaits_child:
            return left_s
        gave_up = any(move.trigger == Trigger.EXHAUSTED for move in saga.unsaved[before:])
        if gave_up and at.step is not None and at.step.probe is not None and "probe" not in self.asked:
            self.leave(Broken("no guess", f"the wait of {at.step.name} ends in doubt, and its probe was not asked"))
        why = _wrong_moment(at, self.moment, saga.data, saga.results) if self.moment else ""
        if left_s > 0 and not (self.asked or why):
            why = _wrong_stay(at, left_s, self._deadline_s(saga)) or self._outlasts(saga)
        if why:
            self.leave(Broken(_PROPERTY, why))
        return left_s

    def _wait(self, saga: RunningSaga, retry: Retry, number: int, reply: Reply) -> float:
        wait_s = super()._wait(saga, retry, number, reply)
        can_expire = saga.may(Trigger.EXPIRE)
        if saga.current.waits and not can_expire:  # a Retry-After is obeyed from its begin, which may be long ago
            return wait_s
        asked, deadline = replace(reply, **_FOR_EVER), saga.deadline
        if not can_expire:
            said_s = max(retry.longest_wait_s(number), LONGEST_RETRY_AFTER_S)
            self._compare("call", saga, super()._wait(saga, retry, number, asked), said_s)
            return wait_s
        for saga.deadline in (deadline, self.now() + NEAR_S):
            left_s = min(saga.deadline - self.now(), saga.definition.deadline_s)
            said_s = left_s if left_s > 0 else retry.cap_s
            self._compare("call", saga, super()._wait(saga, retry, number, asked), said_s)
        saga.deadline = deadline
        return wait_s

    def _before_poll(self, saga: RunningSaga, reply: Reply) -> float:
        later = saga.current.waits
        assert isinstance(later, Later)
        stays_s = super()._before_poll(saga, replace(reply, **_FOR_EVER))
        said_s = max(later.waits.longest_wait_s(saga.deferrals + 1), LONGEST_RETRY_AFTER_S)
        self._compare("poll", saga, stays_s, min(said_s, later.for_s))
        return super()._before_poll(saga, reply)

    def _compare(self, what: str, saga: RunningSaga, stays_s: float, said_s: float) -> None:
        """Leave the run when the longest wait before a call or a poll is not its limit."""
        if stays_s != said_s:
            why = f"the {what} in {saga.state} waits for a Retry-After for {stays_s:.10g} s"
            self.leave(Broken(_PROPERTY, f"{why}, and at most {said_s:.10g} s are allowed"))

    def _deadline_s(self, saga: RunningSaga) -> float:
        return min(saga.deadline, saga.definition.deadline_s) if saga.can_expire else inf

    def _outlasts(self, saga: RunningSaga) -> str:
        """Return why a wait lasts longer than a deadline that is near; "" when it does not."""
        deadline, saga.deadline = saga.deadline, NEAR_S
        why = _wrong_stay(saga.current, super()._end_wait(saga), self._deadline_s(saga))
        saga.deadline = deadline
        return why


def _wrong_moment(at: State, moment: dt.datetime, data: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """Return why a wait does not end at this moment; "" when it does. results: the replies, by step."""
    assert isinstance(at.waits, Waiting)
    assert at.waits.until is not None
    try:
        text = value_of(at.waits.until, Sources(data, results))
    except UnknownError as error:
        return f"{_named(at)} ends at {moment}, and its table does not say when: {error}"
    said = dt.datetime.fromisoformat(f"{text}T00:00:00+00:00" if len(text) == _LENGTH_OF_DATE else text.upper())
    return "" if moment == said else f"{_named(at)} ends at {moment}, and its table says {said}"


def _wrong_stay(at: State, left_s: float, deadline_s: float) -> str:
    """Return why the seconds to the end of a wait are wrong that has just begun; "" when they are right.

    deadline_s: seconds to the deadline; infinite when it does not end the wait.
    """
    assert isinstance(at.waits, Waiting | Later)
    said_s = min(AHEAD_S if at.waits.for_s is None else at.waits.for_s, deadline_s)
    if left_s == said_s:
        return ""
    return f"{_named(at)} lasts {left_s:.10g} s, and its table says {said_s:.10g} s" + (
        ", its deadline" if said_s == deadline_s else ""
    )


def _named(at: State) -> str:
    return f"the wait of {at.step.name if at.step else at.name}"
