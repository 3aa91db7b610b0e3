"""Ends the wait of a saga: its signal has arrived, or its time is over."""

import datetime as dt
from dataclasses import dataclass

from app.store.arrivals import Arrivals
from app.store.instance import Instance
from machines.references import FillError, look_up
from machines.transitions import Trigger
from machines.waiting import Waiting, duration


@dataclass(frozen=True, kw_only=True)
class Waits:
    """The waits of sagas, with the store of their signals."""

    arrivals: Arrivals

    def end(self, saga: Instance, actor: str) -> float:
        """End the wait, and return 0; or return the seconds that the saga still has to wait."""
        waits, arrival = saga.current.waits, None
        assert waits is not None
        if waits.signal is not None and saga.arrived:
            arrival = self.arrivals.find(saga.id, waits.signal)
        if arrival is not None:
            reason = f"signal {waits.signal} from {arrival.sender}"
            saga.end_wait(waits.outcome_of(arrival.body), reason=reason, actor=actor, body=arrival.body)
            return 0.0
        try:
            left_s = self._left_s(saga, waits)
        except FillError as error:  # a person resolved the referenced step without giving its reply
            saga.give_up(Trigger.QUARANTINE, actor=actor, reason=f"the time to wait until is not known: {error}")
            return 0.0
        if left_s > 0:
            return left_s
        saga.end_wait(waits.outcome_at_end(can_go_back=saga.may(Trigger.EXPIRE)), reason=_over(waits), actor=actor)
        return 0.0

    def _left_s(self, saga: Instance, waits: Waiting) -> float:
        if waits.until is None:
            return saga.entered + (waits.for_s or 0.0) - saga.clock()
        return self.arrivals.seconds_until(_moment(str(look_up(waits.until, saga.data, saga.results))))


def _moment(value: str) -> dt.datetime:
    """Return the moment of a date or datetime of the saga's data. A date begins at midnight UTC."""
    found = dt.datetime.fromisoformat(value.upper())
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _over(waits: Waiting) -> str:
    if waits.signal is None:
        return "the pause is over"
    return f"no signal {waits.signal} came within {duration(waits.for_s or 0.0)}"
