"""The status of a saga and of each of its steps, as people see them. No other module decides either.

The database column `status` holds the engine's status. The reference document 002 has its own words for it, and words
for a step; the API uses 002's words, and the status diagrams are drawn from these functions.
"""

from collections.abc import Collection

from machines.saga import Saga
from machines.step import Step
from machines.transitions import DONE, FAILURES, Phase

PENDING, RUNNING = "pending", "running"

#: Phase → column `status`. No commit ends in a passing state, so that phase has none.
STATUSES = {
    Phase.FORWARD: RUNNING,
    Phase.UNDOING: "compensating",
    Phase.STUCK: "stuck",
    Phase.COMPLETED: "completed",
    Phase.COMPENSATED: "compensated",
}

#: Column `status` → 002's SagaStatus. A saga that is being undone is in progress; a stuck saga has failed.
SAGA_STATUSES = {
    PENDING: "pending",
    RUNNING: "in_progress",
    "compensating": "in_progress",
    "stuck": "failed",
    "completed": "completed",
    "compensated": "compensated",
}

#: 002's StepStatus.
STEP_STATUSES = ("pending", "in_progress", "completed", "failed", "compensated")


def status_of(phase: Phase, *, pending: bool) -> str:
    """Return the column `status` of a saga. pending: it was created, but its execution was not requested yet."""
    return PENDING if pending else STATUSES[phase]


def step_status(
    saga: Saga, step: Step, *, state: str, status: str, done: Collection[str], undone: Collection[str]
) -> str:
    """Return the StepStatus of a step.

    state, status: those of its saga. done, undone: the triggers in the journal of its call and of its compensation.
    """
    if not DONE.isdisjoint(undone):
        return "compensated"
    if not DONE.isdisjoint(done):
        return "completed"
    if status == RUNNING and saga.states[state].step == step:
        return "in_progress"
    return "pending" if FAILURES.isdisjoint(done) else "failed"
