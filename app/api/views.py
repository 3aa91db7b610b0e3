"""A saga as others see it: its status and its steps, told from its table and its journal."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.participants.outcome import Outcome, outcome_of_move
from app.store.models import JournalRow, SagaRow
from machines.call import FillError
from machines.rows import Trigger
from machines.saga import Saga
from machines.statuses import DONE, FAILURES, SAGA_STATUSES, step_status
from machines.step import Step

#: What SagaStatus says of the column `status`, for those who read the documentation.
SAGA_STATUS_WORDS = "; ".join(
    f"{theirs}: {' or '.join(ours for ours, other in SAGA_STATUSES.items() if other == theirs)}"
    for theirs in dict.fromkeys(SAGA_STATUSES.values())
)


@dataclass(frozen=True, kw_only=True)
class StepView:
    """One step of one saga.

    status: pending, in_progress, completed, failed or compensated.
    outcome: of its last attempt; unknown means that it may have happened. retries: see `retries`.
    """

    step: Step
    order: int
    status: str
    started_at: datetime | None
    completed_at: datetime | None
    compensated_at: datetime | None
    attempts: int
    retries: int
    outcome: Outcome | None
    input: dict[str, Any] | None
    output: dict[str, Any] | None
    error: str | None


def steps_of(definition: Saga, saga: SagaRow, journal: Sequence[JournalRow]) -> list[StepView]:
    """Tell every step of the table, in its order, also those that are still to come."""
    results = {row.step: row.reply for row in journal if row.trigger in DONE and row.direction == "do"}
    return [_view(definition, saga, number, journal, results) for number in range(1, len(definition.steps) + 1)]


def completed_steps(definition: Saga, saga: SagaRow, journal: Sequence[JournalRow]) -> int:
    """Count the steps that are done and not undone; no reply is needed for it."""
    moves: dict[tuple[str, str], list[JournalRow]] = {}
    for row in journal:
        moves.setdefault((row.step or "", row.direction or ""), []).append(row)
    statuses = (
        _status(definition, saga, step, moves.get((step.name, "do"), []), moves.get((step.name, "undo"), []))
        for step in definition.steps
    )
    return sum(status == "completed" for status in statuses)


def outcome(row: JournalRow) -> Outcome | None:
    """Return what became of the call whose outcome a row of the journal records, if it records one."""
    return None if row.step is None else outcome_of_move(row.trigger, row.status_code)


def retries(definition: Saga | None, journal: Sequence[JournalRow]) -> tuple[int, int]:
    """Return how often the call was retried that was retried most, and how often it may be.

    Where none was retried, it is the first one. A probe is no retry, and when a person has the call of a stuck saga
    sent again, its retries start from 0. Of a call whose table is not known here, no more retries are assumed than were
    made.
    """
    most, limit, made = 0, definition.steps[0].retry.retries if definition else 0, 0
    for row in journal:
        if row.source != row.dest:
            made = 0
        elif row.trigger == Trigger.RETRY:
            state = definition.rows.states.get(row.dest) if definition else None
            allowed = state.retry.retries if state else made + 1
            made = min(made + 1, allowed)
            if made >= most:
                most, limit = made, allowed
    return most, limit


def remaining(views: Sequence[StepView]) -> list[str]:
    return [view.step.name for view in views if view.status in ("pending", "in_progress")]


def _view(
    definition: Saga, saga: SagaRow, number: int, journal: Sequence[JournalRow], results: dict[Any, Any]
) -> StepView:
    step = definition.steps[number - 1]
    done = [row for row in journal if row.step == step.name and row.direction == "do"]
    undone = [row for row in journal if row.step == step.name and row.direction == "undo"]
    entry = step.doing or (definition.steps[number - 2].done if number > 1 else definition.initial)
    entered = next((row.at for row in journal if row.dest == entry and row.source != row.dest), None)
    begun = _started_at(saga, entry, entered, done)
    outcomes = [found for row in done if (found := outcome(row))]
    failures = [row for row in done if row.trigger in FAILURES]
    return StepView(
        step=step,
        order=number,
        status=_status(definition, saga, step, done, undone),
        started_at=begun,
        completed_at=_when_done(done),
        compensated_at=_when_done(undone),
        attempts=sum(found is not Outcome.NOT_SENT for found in outcomes),
        retries=retries(definition, done)[0],
        outcome=outcomes[-1] if outcomes else None,
        input=_input(step, saga, results) if begun else None,
        output=results.get(step.name),
        error=failures[-1].reason if failures else None,
    )


def _status(
    definition: Saga, saga: SagaRow, step: Step, done: Sequence[JournalRow], undone: Sequence[JournalRow]
) -> str:
    triggers, undoing = ({row.trigger for row in rows} for rows in (done, undone))
    return step_status(definition, step, state=saga.state, status=saga.status, done=triggers, undone=undoing)


def _started_at(saga: SagaRow, entry: str, entered: datetime | None, done: Sequence[JournalRow]) -> datetime | None:
    """Return when the step's first call was made; until it is answered, when the saga came to stand before it.

    A saga that was created and executed later has no move between the two: it was in the state before it began.
    """
    first = next((row for row in done if row.duration_ms is not None), None)
    if entered and first:
        return max(entered, first.at - timedelta(milliseconds=first.duration_ms or 0.0))
    if saga.status == "pending":
        return None
    return saga.entered_at if entered and saga.state == entry else entered


def _when_done(rows: Sequence[JournalRow]) -> datetime | None:
    return next((row.at for row in reversed(rows) if row.trigger in DONE), None)


def _input(step: Step, saga: SagaRow, results: dict[Any, Any]) -> dict[str, Any] | None:
    try:
        return step.call.filled_body(saga.data, results)
    except FillError:  # an earlier step was resolved by hand, without a reply
        return None
