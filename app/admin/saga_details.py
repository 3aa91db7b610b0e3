"""The details of one saga for its page: its effects, its calls, and the available actions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.admin.gantt import Gantt, gantt
from app.store.loading import is_in_doubt, start_of
from app.store.models import JournalRow, SagaRow
from app.views.available_actions import AvailableAction, CallKey, available_actions, filled, sends_now
from app.views.waits import Wait, sentence, wait_of
from machines.call import Call
from machines.history import StepEffect, effects_of, is_probe, outcome, polls, replies, skipped_steps
from machines.outcomes import Outcome
from machines.preview import Known
from machines.saga import Saga
from machines.statuses import Status
from machines.step import Step
from machines.transitions import Direction, Phase, State


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt of a call: the request and the reply."""

    row: JournalRow
    outcome: Outcome | None
    call: Call
    path: str | None
    body: Mapping[str, Any] | None
    #: Idempotency-Key of the call.
    key: str
    #: True: the call is the step's probe.
    probe: bool
    #: True: the call is the step's poll. Only the poll that brought the answer is an attempt.
    poll: bool


@dataclass(frozen=True, kw_only=True)
class SagaDetails:
    """One saga, read from its table and its journal."""

    saga: Saga
    at: State
    summary: str
    effects: Sequence[StepEffect]
    actions: Sequence[AvailableAction]
    #: Step name → path and body of the call that decides the step's effect.
    sent: Mapping[str, tuple[str | None, Any]]
    gantt: Gantt | None
    #: Index of a row in the journal (the first row has 0) → the attempt that the row records.
    attempts: Mapping[int, Attempt]
    #: True when the call of the saga's state may have been sent.
    in_doubt: bool


def saga_details(
    definition: Saga, row: SagaRow, journal: Sequence[JournalRow], next_s: float | None = None
) -> SagaDetails:
    """Return the details of a saga. next_s: seconds until its next attempt, see `queries.moments`."""
    results = replies(journal)
    in_doubt = is_in_doubt(row) and row.status != Status.PENDING
    at = definition.states[row.state]
    known = Known(data=row.data, results=results, skipped=skipped_steps(journal))
    effects = effects_of(definition, row.state, journal, in_doubt=in_doubt)
    wait = wait_of(definition, row, journal)
    return SagaDetails(
        saga=definition,
        at=at,
        summary=_back_off(at, wait, next_s or 0.0) or _summary(row, at) + _so_far(wait),
        effects=effects,
        sent={effect.step.name: _sent(effect, row, results) for effect in effects},
        actions=available_actions(
            definition, row.state, row.id, known, in_doubt=in_doubt, send_now=sends_now(definition, row)
        ),
        gantt=gantt(journal),
        attempts=dict(_attempts(definition, row, journal, results)),
        in_doubt=in_doubt,
    )


def _sent(effect: StepEffect, row: SagaRow, results: Mapping[str, Any]) -> tuple[str | None, Any]:
    return filled(effect.call, CallKey(row.id, effect.step.name, effect.direction), row.data, results)


def _attempts(
    definition: Saga, saga: SagaRow, journal: Sequence[JournalRow], results: Mapping[str, Any]
) -> Iterator[tuple[int, Attempt]]:
    steps = {step.name: step for step in definition.steps}
    for number, row in enumerate(journal):
        step = steps.get(row.step or "")
        call = _call(step, row) if step else None
        if step is None or call is None or row.duration_ms is None:
            continue
        path, body = filled(call, CallKey(saga.id, step.name, row.direction or ""), saga.data, results)
        yield (
            number,
            Attempt(
                row=row,
                outcome=outcome(row),
                call=call,
                path=path,
                body=body if call.method != "GET" else None,
                key=f"{saga.id}/{step.name}/{row.direction}",
                probe=is_probe(row),
                poll=bool(polls(row)),
            ),
        )


def _call(step: Step, row: JournalRow) -> Call | None:
    """Return the call whose outcome the row records."""
    if is_probe(row):
        return step.probe
    if polls(row):
        return step.poll
    return step.undo if row.direction == Direction.UNDO else step.call


def _back_off(at: State, wait: Wait | None, next_s: float) -> str | None:
    """Return the state of a saga that backs off, in one sentence; None for another saga. next_s: see `saga_details`."""
    if wait is None or not wait.backs_off:
        return None
    words = sentence(wait, next_s)
    return f"Compensating, {words}." if at.undoes else f"{words[0].upper()}{words[1:]}."


def _so_far(wait: Wait | None) -> str:
    """Return the polls of a saga that asks for an answer, as a sentence; "" for another saga."""
    if wait is None or wait.polls is None:
        return ""
    return f" It waits until {wait.polls.until:%Y-%m-%d %H:%M:%S} UTC; {wait.polls.words}."


def _summary(row: SagaRow, at: State) -> str:
    """Return the state of the saga in one sentence."""
    name = at.step.name if at.step else ""
    call = (at.step.undo if at.undoes else at.step.call) if at.step else None
    participant = call.participant if call else ""
    what = f"{'the undo of ' if at.undoes else ''}{name}"
    match at.phase:
        case Phase.STUCK:
            check = f" Check at {participant} whether it happened." if call else ""
            return f"The engine has stopped at {what}; a person must decide.{check}"
        case Phase.COMPLETED:
            return "Completed: every step succeeded."
        case Phase.COMPENSATED:
            return "Compensated: every step that was done is undone."
        case _ if row.status == Status.PENDING:
            start_at = start_of(row)
            return f"It starts at {start_at:%Y-%m-%d %H:%M:%S} UTC." if start_at else "Created, and not executed yet."
        case Phase.UNDOING:
            return f"Compensating: {participant} is called to undo {name}."
        case _:
            return f"Waiting at {name}: {at.waits}." if at.waits else f"Running: {participant} is called for {what}."
