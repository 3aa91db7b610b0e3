"""Ends the wait of a saga: its signal or the answer to its call has arrived, or its time is over."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from machines.children import ChildEnd
from machines.history import ANSWERED
from machines.later import Later, arrival_name
from machines.outcomes import Outcome
from machines.references import FillError, look_up
from machines.running import RunningSaga
from machines.transitions import Trigger
from machines.waiting import Waiting, duration


class Arrival(Protocol):
    """A signal or an answer that has arrived."""

    @property
    def body(self) -> Mapping[str, Any]: ...
    @property
    def sender(self) -> str: ...


class KeptArrivals(Protocol):
    """What has arrived for sagas, and the clock for waits until a date."""

    def find(self, saga_id: UUID, name: str, /) -> Arrival | None: ...

    def seconds_until(self, moment: dt.datetime, /) -> float: ...


_A = TypeVar("_A", bound=KeptArrivals)


@dataclass(frozen=True, kw_only=True)
class Waits(Generic[_A]):
    """The waits of sagas, with the store of their signals."""

    arrivals: _A

    def end(self, saga: RunningSaga, actor: str, last: str = "") -> float | None:
        """End the wait if its time is over, and return 0. Otherwise return the seconds that are left to wait.

        Return None when the time is over and the step has a probe, which must be sent first. last: the reason that the
        reply to the last poll gives.
        """
        waits = saga.current.waits
        assert waits is not None
        assert not isinstance(waits, ChildEnd), "the end of a child is no arrival of this module"
        try:
            left_s = self._left_s(saga, waits)
        except FillError as error:  # a person resolved the referenced step without giving its reply
            saga.give_up(Trigger.QUARANTINE, actor=actor, reason=f"the time to wait until is not known: {error}")
            return 0.0
        if left_s > 0:
            return left_s
        if isinstance(waits, Later):
            if saga.current.step and saga.current.step.probe:
                return None
            outcome = Outcome.IN_DOUBT
        else:
            outcome = waits.outcome_at_end(can_go_back=saga.may(Trigger.EXPIRE))
        saga.end_wait(outcome, reason=_over(waits, last), actor=actor)
        return 0.0

    def take_arrival(self, saga: RunningSaga, actor: str) -> bool:
        """End the wait with the signal or the answer that has arrived. Return False when none has arrived."""
        waits = saga.current.waits
        if isinstance(waits, Later):
            return self.take_answer(saga, actor)
        if waits is None or isinstance(waits, ChildEnd) or waits.signal is None:
            return False
        arrival = self.arrivals.find(saga.id, waits.signal)
        if arrival is None:
            return False
        outcome, reason = waits.outcome_of(arrival.body), f"signal {waits.signal} from {arrival.sender}"
        if outcome is Outcome.REFUSED:
            reason += " refused it"
        saga.end_wait(outcome, reason=reason, actor=actor, body=arrival.body)
        return True

    def take_answer(self, saga: RunningSaga, actor: str) -> bool:
        """Make the move for the answer that has arrived for the saga's step. Return False when none has arrived."""
        step = saga.current.step
        arrival = self.arrivals.find(saga.id, arrival_name(step.name)) if step else None
        if step is None or arrival is None:
            return False
        body = arrival.body
        known = {**saga.results, step.name: body["reply"]}
        reason = saga.definition.without_secrets(f"{ANSWERED}{body['reason']}", saga.data, known)
        saga.end_wait(
            Outcome(body["outcome"]), reason=reason, actor=actor, body=body["reply"], status_code=body["status"]
        )
        return True

    def _left_s(self, saga: RunningSaga, waits: Waiting | Later) -> float:
        if isinstance(waits, Later) or waits.until is None:
            return saga.entered + (waits.for_s or 0.0) - saga.clock()
        return self.arrivals.seconds_until(_moment(str(look_up(waits.until, saga.data, saga.results))))


def before_poll(saga: RunningSaga, asked_s: float, jitter: Callable[[float], float]) -> float:
    """Return the wait before the next poll, in seconds. It is random, and not longer than the time that is left.

    asked_s: the Retry-After of the last reply. jitter: see `Engine`.
    """
    later = saga.current.waits
    assert isinstance(later, Later)
    half_s = later.waits.longest_wait_s(saga.deferrals + 1) / 2
    left_s = saga.entered + later.for_s - saga.clock()
    return max(min(max(half_s + jitter(half_s), asked_s), left_s), 0.001)


def _moment(value: str) -> dt.datetime:
    """Return the moment of a date or datetime of the saga's data. A date begins at midnight UTC."""
    found = dt.datetime.fromisoformat(value.upper())
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _over(waits: Waiting | Later, last: str) -> str:
    if isinstance(waits, Later):
        if waits.asks:
            return f"{last}; no answer came within {duration(waits.for_s)}"
        return f"{ANSWERED}none came within {duration(waits.for_s)}"
    if waits.signal is None:
        return "the pause is over"
    return f"no signal {waits.signal} came within {duration(waits.for_s or 0.0)}"
