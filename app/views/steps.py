"""The steps of a saga as people see them, read from its table and its journal."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.participants.outcome import outcome_of_move
from app.store.models import JournalRow, SagaRow
from machines.call import FillError
from machines.progress import Outcome
from machines.saga import Saga
from machines.statuses import step_status
from machines.step import Step
from machines.transitions import DONE, FAILURES, Trigger


@dataclass(frozen=True, kw_only=True)
class StepView:
    """One step of one saga."""

    step: Step
    #: Position in the table, from 1.
    order: int
    #: pending, in_progress, completed, failed or compensated.
    status: str
    started_at: datetime | None
    completed_at: datetime | None
    compensated_at: datetime | None
    #: Calls that were sent for the action.
    attempts: int
    #: Retries of the action, see `retries`.
    retries: int
    #: Outcome of the last attempt; unknown: the attempt is in doubt.
    outcome: Outcome | None
    input: dict[str, Any] | None
    output: dict[str, Any] | None
    error: str | None


def steps_of(definition: Saga, saga: SagaRow, journal: Sequence[JournalRow]) -> list[StepView]:
    """Return every step of the table, in its order, including the steps still to come."""
    results = results_of(journal)
    return [_view(definition, saga, number, journal, results) for number in range(1, len(definition.steps) + 1)]


def results_of(journal: Sequence[JournalRow]) -> dict[str, Any]:
    """Return the reply of each step that succeeded or that a person resolved."""
    return {row.step or "": row.reply for row in journal if row.trigger in DONE and row.direction == "do"}


def completed_steps(definition: Saga, saga: SagaRow, journal: Sequence[JournalRow]) -> int:
    """Return the number of steps that are done and not undone. The journal needs no replies for this."""
    moves: dict[tuple[str, str], list[JournalRow]] = {}
    for row in journal:
        moves.setdefault((row.step or "", row.direction or ""), []).append(row)
    statuses = (
        _status(definition, saga, step, moves.get((step.name, "do"), []), moves.get((step.name, "undo"), []))
        for step in definition.steps
    )
    return sum(status == "completed" for status in statuses)


def remaining(steps: Sequence[StepView]) -> list[str]:
    """Return the names of the steps that are not done yet."""
    return [view.step.name for view in steps if view.status in ("pending", "in_progress")]


def outcome(row: JournalRow) -> Outcome | None:
    """Return the outcome of the call that a journal row records; None when the row records no call."""
    return None if row.step is None else outcome_of_move(row.trigger, row.status_code)


def retries(definition: Saga | None, journal: Sequence[JournalRow]) -> tuple[int, int]:
    """Return the retries of the call that was retried most, and the retries that this call may have.

    Without any retry, the call is the first one. A probe is no retry. When a person retries a stuck call, its count
    starts from 0. For a call whose table this release does not have, the limit is the number of retries made.
    """
    most, limit, made = 0, definition.steps[0].retry.retries if definition else 0, 0
    for row in journal:
        if row.source != row.dest:
            made = 0
        elif row.trigger == Trigger.RETRY:
            state = definition.states.get(row.dest) if definition else None
            allowed = state.retry.retries if state else made + 1
            made = min(made + 1, allowed)
            if made >= most:
                most, limit = made, allowed
    return most, limit


def _view(
    definition: Saga, saga: SagaRow, number: int, journal: Sequence[JournalRow], results: dict[str, Any]
) -> StepView:
    step = definition.steps[number - 1]
    done = [row for row in journal if row.step == step.name and row.direction == "do"]
    undone = [row for row in journal if row.step == step.name and row.direction == "undo"]
    entry = step.doing or (definition.steps[number - 2].done if number > 1 else definition.initial)
    entered_at = next((row.at for row in journal if row.dest == entry and row.source != row.dest), None)
    started_at = _started_at(saga, entry, entered_at, done)
    outcomes = [found for row in done if (found := outcome(row))]
    failures = [row for row in done if row.trigger in FAILURES]
    return StepView(
        step=step,
        order=number,
        status=_status(definition, saga, step, done, undone),
        started_at=started_at,
        completed_at=_succeeded_at(done),
        compensated_at=_succeeded_at(undone),
        attempts=sum(found is not Outcome.NOT_SENT for found in outcomes),
        retries=retries(definition, done)[0],
        outcome=outcomes[-1] if outcomes else None,
        input=_input(step, saga, results) if started_at else None,
        output=results.get(step.name),
        error=failures[-1].reason if failures else None,
    )


def _status(
    definition: Saga, saga: SagaRow, step: Step, done: Sequence[JournalRow], undone: Sequence[JournalRow]
) -> str:
    triggers, undoing = ({row.trigger for row in rows} for rows in (done, undone))
    return step_status(definition, step, state=saga.state, status=saga.status, done=triggers, undone=undoing)


def _started_at(saga: SagaRow, entry: str, entered_at: datetime | None, done: Sequence[JournalRow]) -> datetime | None:
    """Return when the step's first call was sent; before its reply, when the saga entered the state before the step.

    A saga that is executed later than it was created makes no move in between, so `entered_at` may be too early.
    """
    first = next((row for row in done if row.duration_ms is not None), None)
    if entered_at and first:
        return max(entered_at, first.at - timedelta(milliseconds=first.duration_ms or 0.0))
    if saga.status == "pending":
        return None
    return saga.entered_at if entered_at and saga.state == entry else entered_at


def _succeeded_at(rows: Sequence[JournalRow]) -> datetime | None:
    return next((row.at for row in reversed(rows) if row.trigger in DONE), None)


def _input(step: Step, saga: SagaRow, results: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return step.call.filled_body(saga.data, results)
    except FillError:  # a person resolved an earlier step without its reply
        return None
