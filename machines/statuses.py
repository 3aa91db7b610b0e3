"""The status of a saga and of each of its steps, as people see them. No other module decides a status.

The database column `status` holds a `Status`. The API shows a saga's status in other words (`SAGA_STATUSES`). The
status diagrams are drawn from the functions of this module.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum

from machines.saga import Saga
from machines.step import Step
from machines.transitions import DONE, FAILURES, Phase, Trigger


class Status(StrEnum):
    """The status of a saga, as the column `status` holds it."""

    #: Created; nobody has requested its execution yet.
    PENDING = "pending"
    RUNNING = "running"
    COMPENSATING = "compensating"
    #: Waits for the end of a pause, or for a signal.
    WAITING = "waiting"
    #: Waits for a person.
    STUCK = "stuck"
    COMPLETED = "completed"
    COMPENSATED = "compensated"


class StepStatus(StrEnum):
    """The status of a step, in the words of the API."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    COMPENSATED = "compensated"
    #: The condition of the step did not hold.
    SKIPPED = "skipped"


#: Statuses of sagas that have ended.
FINISHED = (Status.COMPLETED, Status.COMPENSATED)
#: Statuses of sagas that the engine runs.
UNDER_WAY = (Status.RUNNING, Status.COMPENSATING)

#: Phase → status. No commit ends in a passing state, so that phase has none.
_OF_PHASE = {
    Phase.FORWARD: Status.RUNNING,
    Phase.WAITING: Status.WAITING,
    Phase.UNDOING: Status.COMPENSATING,
    Phase.STUCK: Status.STUCK,
    Phase.COMPLETED: Status.COMPLETED,
    Phase.COMPENSATED: Status.COMPENSATED,
}

#: Phase → status, for the phases in which the engine has nothing left to do. Webhooks receive them.
REPORTED = {phase: _OF_PHASE[phase] for phase in (Phase.COMPLETED, Phase.COMPENSATED, Phase.STUCK)}

#: Status → the API's word for it. A saga that is being undone is in progress; a stuck saga has failed.
SAGA_STATUSES: Mapping[str, str] = {
    Status.PENDING: "pending",
    Status.RUNNING: "in_progress",
    Status.COMPENSATING: "in_progress",
    Status.WAITING: "waiting",
    Status.STUCK: "failed",
    Status.COMPLETED: "completed",
    Status.COMPENSATED: "compensated",
}


def status_of(phase: Phase, *, pending: bool) -> Status:
    """Return the status of a saga. pending: the saga was created, but nobody has requested its execution."""
    return Status.PENDING if pending else _OF_PHASE[phase]


def step_status(
    saga: Saga, step: Step, *, state: str, status: str, action_triggers: Collection[str], undo_triggers: Collection[str]
) -> StepStatus:
    """Return the status of a step.

    state, status: of the step's saga. action_triggers: the triggers of the moves that the step's action made.
    undo_triggers: the triggers of the moves that its compensation made.
    """
    if not DONE.isdisjoint(undo_triggers):
        return StepStatus.COMPENSATED
    if not DONE.isdisjoint(action_triggers):
        return StepStatus.COMPLETED
    if Trigger.SKIP in action_triggers:
        return StepStatus.SKIPPED
    if status in (Status.RUNNING, Status.WAITING) and saga.states[state].step == step:
        return StepStatus.IN_PROGRESS
    return StepStatus.PENDING if FAILURES.isdisjoint(action_triggers) else StepStatus.FAILED
