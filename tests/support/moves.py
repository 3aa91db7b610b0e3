"""Move a saga as the engine moves it, without participants."""

from typing import Any

from machines.outcomes import Outcome
from machines.progress import Progress
from machines.transitions import Trigger

_OUTCOMES = {
    Trigger.SUCCEEDED: Outcome.SUCCEEDED,
    Trigger.REFUSED: Outcome.REFUSED,
    Trigger.RETRY: Outcome.IN_DOUBT,
    Trigger.EXHAUSTED: Outcome.IN_DOUBT,
    Trigger.DEFER: Outcome.NOT_SENT,
}


def move(saga: Progress, trigger: str, *, actor: str = "test", reason: str = "", **facts: Any) -> None:
    """Make the move of a trigger, and the moves that follow in the same commit.

    `facts` are arguments of `Progress.conclude`.
    """
    made = Trigger(trigger)
    if made in (Trigger.EXPIRE, Trigger.QUARANTINE):
        saga.give_up(made, actor=actor, reason=reason)
    elif saga.current.call is None or made not in _OUTCOMES:
        saga.request_move(made, actor=actor, then=actor, reason=reason)
    else:
        if made is Trigger.EXHAUSTED:
            saga.failed_attempts = saga.current.rounds
        saga.conclude(_OUTCOMES[made], actor=actor, reason=reason, **facts)
