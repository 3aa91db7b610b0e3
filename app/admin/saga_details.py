"""The details of one saga for its page: its effects, its calls, and the available actions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.admin.gantt import Gantt, gantt
from app.participant_settings.model import IDEMPOTENCY_HEADER
from app.services import services
from app.store.causes import cause
from app.store.loading import is_in_doubt
from app.store.models import JournalRow, SagaRow
from app.views.available_actions import AvailableAction, actions_of
from app.views.curl import as_curl
from app.views.planned_calls import CallKey, filled
from app.views.summary import summary
from app.views.titles import money_of
from app.views.waits import ALONE, Family
from machines.call import Call
from machines.history import StepEffect, effects_of, is_probe, outcome, polls, replies
from machines.outcomes import Outcome
from machines.references import FillError, call_headers, roots_of
from machines.saga import Saga
from machines.statuses import Status
from machines.step import Step
from machines.transitions import Direction, State


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt of a call: the request and the reply."""

    row: JournalRow
    outcome: Outcome | None
    call: Call
    path: str | None
    body: Mapping[str, Any] | None
    #: Headers of the request, without those of the credential.
    headers: Mapping[str, str]
    #: True: the call is the step's probe.
    probe: bool
    #: True: the call is the step's poll. Only the poll that brought the answer is an attempt.
    poll: bool
    #: The call as a command, without secrets; None: a value of the call is not known.
    curl: str | None

    def is_like(self, other: "Attempt") -> bool:
        """Return True when the other attempt was the same call with the same end."""
        mine, its = self.row, other.row
        return (
            (mine.step, mine.direction, self.probe, self.poll) == (its.step, its.direction, other.probe, other.poll)
            and (self.outcome, mine.status_code) == (other.outcome, its.status_code)
            and cause(mine.reason or "") == cause(its.reason or "")
        )


@dataclass(frozen=True, kw_only=True)
class Run:
    """Equal attempts in a row."""

    attempts: Sequence[Attempt]

    @property
    def lasted_s(self) -> float:
        """Seconds from the first of them to the last."""
        return (self.attempts[-1].row.at - self.attempts[0].row.at).total_seconds()


#: Fewest equal attempts in a row that are folded into one line.
_FOLDED = 3


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
    #: Step name → what the step has done with money; "" where its table does not say.
    money: Mapping[str, str]
    gantt: Gantt | None
    #: Index of a row in the journal (the first row has 0) → the attempt that the row records.
    attempts: Mapping[int, Attempt]
    #: The attempts; equal ones in a row stand together.
    runs: Sequence[Run]
    #: True when the call of the saga's state may have been sent.
    in_doubt: bool


def saga_details(
    definition: Saga,
    row: SagaRow,
    journal: Sequence[JournalRow],
    next_s: float | None = None,
    family: Family = ALONE,
) -> SagaDetails:
    """Return the details of a saga.

    next_s: seconds until its next attempt, see `queries.moments`. family: its children.
    """
    results = replies(journal)
    in_doubt = is_in_doubt(row) and row.status != Status.PENDING
    at = definition.states[row.state]
    attempts = dict(_attempts(definition, row, journal, results))
    effects = effects_of(definition, row.state, journal, in_doubt=in_doubt)
    return SagaDetails(
        saga=definition,
        at=at,
        summary=summary(definition, row, journal, effects, next_s or 0.0, family),
        effects=effects,
        sent={effect.step.name: _sent(effect, row, results) for effect in effects},
        money={effect.step.name: money_of(definition, effect, row, results) for effect in effects},
        actions=actions_of(services(), definition, row, journal),
        gantt=gantt(journal),
        attempts=attempts,
        runs=list(_runs(attempts.values())),
        in_doubt=in_doubt,
    )


def _sent(effect: StepEffect, row: SagaRow, results: Mapping[str, Any]) -> tuple[str | None, Any]:
    return filled(effect.call, CallKey(row.id, effect.step.name, effect.direction), row.data, results)


def _runs(attempts: Iterable[Attempt]) -> Iterator[Run]:
    """Yield the attempts in their order; a run of fewer than _FOLDED equal ones is yielded one by one."""
    alike: list[Attempt] = []
    for attempt in (*attempts, None):
        if alike and (attempt is None or not attempt.is_like(alike[-1])):
            yield from [Run(attempts=alike)] if len(alike) >= _FOLDED else [Run(attempts=[each]) for each in alike]
            alike = []
        if attempt is not None:
            alike.append(attempt)


def _attempts(
    definition: Saga, saga: SagaRow, journal: Sequence[JournalRow], results: Mapping[str, Any]
) -> Iterator[tuple[int, Attempt]]:
    steps = {step.name: step for step in definition.steps}
    for number, row in enumerate(journal):
        step = steps.get(row.step or "")
        call = _call(step, row) if step else None
        if step is None or call is None or row.duration_ms is None:
            continue
        key = CallKey(saga.id, step.name, row.direction or "")
        path, body = filled(call, key, saga.data, results)
        headers = _headers(call, key, saga.data, results)
        yield (
            number,
            Attempt(
                row=row,
                outcome=outcome(row),
                call=call,
                path=path,
                body=body if call.method != "GET" else None,
                headers=headers,
                curl=as_curl(call, path, headers, body, services().participants),
                probe=is_probe(row),
                poll=bool(polls(row)),
            ),
        )


def _headers(call: Call, key: CallKey, data: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers of a call that its table and its key decide, without those of its credential."""
    known = services().participants.get(call.participant)
    named = known.idempotency_header if known else IDEMPOTENCY_HEADER
    always = call_headers(str(key.saga_id), key.step, key.direction)
    found = {named if name == IDEMPOTENCY_HEADER else name: value for name, value in always.items()}
    try:
        return found | call.filled_headers(data, results, roots_of(str(key.saga_id), key.step, key.direction))
    except FillError:
        return found  # the value of a header is not known


def _call(step: Step, row: JournalRow) -> Call | None:
    """Return the call whose outcome the row records."""
    if is_probe(row):
        return step.probe
    if polls(row):
        return step.poll
    return step.undo if row.direction == Direction.UNDO else step.call
