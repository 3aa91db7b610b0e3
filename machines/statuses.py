"""The status of a saga and of each of its steps, as people see them. Both are decided here alone.

The column `status` says what a saga does. The reference document 002 has other words for it and words for a step; the
API speaks them, and the status diagrams are drawn from these functions.
"""

from collections.abc import Collection

from machines.rows import Phase, Trigger
from machines.saga import Saga
from machines.step import Step

PENDING, RUNNING = "pending", "running"

#: The column `status` by phase. A passing state is never the last one of a commit, so it has none.
STATUSES = {
    Phase.FORWARD: RUNNING,
    Phase.UNDOING: "compensating",
    Phase.STUCK: "stuck",
    Phase.COMPLETED: "completed",
    Phase.COMPENSATED: "compensated",
}

#: 002's SagaStatus by the column. A saga that is being undone is still in progress; one that is stuck has failed.
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

#: The moves by which a step, or its compensation, is done.
DONE = frozenset({Trigger.SUCCEEDED, Trigger.RESOLVE})
#: The moves by which a step fails.
FAILURES = frozenset({Trigger.REFUSED, Trigger.REFUSED_IN_DOUBT, Trigger.EXHAUSTED, Trigger.EXPIRE, Trigger.QUARANTINE})


def status_of(phase: Phase, *, pending: bool) -> str:
    """Return the column `status` of a saga. pending: it was created, and nobody has asked for its execution yet."""
    return PENDING if pending else STATUSES[phase]


def step_status(
    saga: Saga, step: Step, *, state: str, status: str, done: Collection[str], undone: Collection[str]
) -> str:
    """Return the StepStatus of a step.

    state, status: those of its saga. done, undone: the triggers of the moves of its call and of its compensation.
    """
    if not DONE.isdisjoint(undone):
        return "compensated"
    if not DONE.isdisjoint(done):
        return "completed"
    if status == RUNNING and saga.rows.states[state].step == step:
        return "in_progress"
    return "pending" if FAILURES.isdisjoint(done) else "failed"
