"""*Send now*: an operator has the next attempt of a saga made at once, or ends a pause before its time."""

from machines.children import ChildEnd
from machines.later import Later
from machines.statuses import Status
from machines.transitions import State
from machines.waiting import Waiting

#: Name of the action.
SEND_NOW = "send_now"
#: Status → why nothing can be sent now.
_REASONS = {
    Status.PENDING: "execute it",
    Status.STUCK: "retry, compensate or resolve it",
    Status.COMPLETED: "nothing is left to send",
    Status.COMPENSATED: "nothing is left to send",
}


def backs_off(status: str, *, held: bool, tries: int) -> bool:
    """Return True when a saga waits in the database before its next attempt of a call.

    held: a process holds the saga. tries: number of failed attempts and deferrals of the call.
    """
    return not held and tries > 0 and status in (Status.RUNNING, Status.COMPENSATING, Status.WAITING)


def why_not_sent_now(at: State, status: str, *, held: bool, tries: int) -> str | None:
    """Return why *send now* is not possible; None: it is. The other arguments are those of `backs_off`."""
    if status in _REASONS:
        return f"the saga is {status}, in {at.name}: {_REASONS[Status(status)]}"
    if at.is_pause or at.poll or backs_off(status, held=held, tries=tries):
        return None
    if isinstance(at.waits, Waiting):
        return f"the saga waits for the signal {at.waits.signal}, and only this signal ends the wait; send the signal"
    if isinstance(at.waits, Later) and at.step and at.step.call:
        return f"the saga waits for the answer of {at.step.call.participant}, and only this answer ends the wait"
    if isinstance(at.waits, ChildEnd):
        return f"the saga waits for the end of {at.waits}; act on the saga that it waits for"
    return "the saga does not back off: a process sends its call now"
