"""What people see of a saga that asks for an answer: its polls so far, its next poll, and the end of its wait."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.store.models import SagaRow
from machines.later import Later
from machines.saga import Saga
from machines.statuses import Status
from machines.transitions import Trigger


@dataclass(frozen=True, kw_only=True)
class Polls:
    """The polls of a saga that waits for an answer."""

    #: Number of polls that brought no answer.
    made: int
    #: When the next poll is due; None: a process sends a poll now.
    next_at: datetime | None
    #: End of the wait: of the table's within_s=, or the saga's deadline where it is earlier and ends the wait.
    until: datetime

    @property
    def words(self) -> str:
        return f"{self.made} poll{'' if self.made == 1 else 's'} so far"


def polls_of(definition: Saga, saga: SagaRow) -> Polls | None:
    """Return the polls of a saga; None when it does not poll in its state."""
    at = definition.states[saga.state]
    if at.poll is None or not isinstance(at.waits, Later) or saga.status != Status.WAITING:
        return None
    until = saga.entered_at + timedelta(seconds=at.waits.for_s)
    expires = any(each.source == at.name and each.trigger is Trigger.EXPIRE for each in definition.transitions)
    return Polls(
        made=saga.deferrals,
        next_at=saga.due_at if saga.owner is None else None,
        until=min(until, saga.deadline_at) if expires and saga.deadline_at else until,
    )
