"""The details of one saga for its page: its effects, its calls, and the available actions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.admin.gantt import Gantt, gantt
from app.services import services
from app.store.causes import cause
from app.store.loading import is_in_doubt
from app.store.models import JournalRow, SagaRow
from app.views.amounts import MoneyLine, money_lines
from app.views.available_actions import AvailableAction, actions_of
from app.views.known_effects import effects_now
from app.views.planned_calls import CallKey, filled
from app.views.summary import summary
from app.views.waits import ALONE, Family, wait_of
from machines.call import Call
from machines.history import StepEffect, is_probe, outcome, polls, replies
from machines.outcomes import Outcome
from machines.saga import Saga
from machines.statuses import Status
from machines.step import Step
from machines.transitions import Direction, State


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt of a call."""

    row: JournalRow
    outcome: Outcome | None
    call: Call
    #: True: the call is the step's probe.
    probe: bool
    #: True: the call is the step's poll. Only the poll that brought the answer is an attempt.
    poll: bool

    def is_like(self, other: "Attempt") -> bool:
        """Return True when the other attempt was the same call with the same end."""
        mine, its = self.row, other.row
        return (
            (mine.step, mine.direction, self.probe, self.poll) == (its.step, its.direction, other.probe, other.poll)
            and (self.outcome, mine.status_code) == (other.outcome, its.status_code)
            and cause(mine.reason or "") == cause(its.reason or "")
        )


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
    #: Step name → what the step, or the sagas that it has started, have done with money, where their tables say it.
    money: Mapping[str, Sequence[MoneyLine]]
    gantt: Gantt | None
    #: Index of a row in the journal (the first row has 0) → the attempt that the row records.
    attempts: Mapping[int, Attempt]
    #: True when the call of the saga's state may have been sent.
    in_doubt: bool
    #: Participant to which the next call or poll is not sent, because a person has paused it; "": there is none.
    paused: str


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
    results, paused = replies(journal), services().pauses.names
    wait = wait_of(definition, row, journal, family, paused)
    in_doubt = is_in_doubt(row) and row.status != Status.PENDING
    at = definition.states[row.state]
    attempts = dict(_attempts(definition, journal))
    effects = effects_now(definition, row, journal)
    return SagaDetails(
        saga=definition,
        at=at,
        summary=summary(definition, row, journal, effects, next_s or 0.0, family, paused),
        paused=wait.paused if wait else "",
        effects=effects,
        sent={effect.step.name: _sent(effect, row, results) for effect in effects},
        money=money_lines(services().registry, definition, row, effects, results),
        actions=actions_of(services(), definition, row, journal, effects),
        gantt=gantt(journal),
        attempts=attempts,
        in_doubt=in_doubt,
    )


def _sent(effect: StepEffect, row: SagaRow, results: Mapping[str, Any]) -> tuple[str | None, Any]:
    return filled(effect.call, CallKey(row.id, effect.step.name, effect.direction), row.data, results)


def _attempts(definition: Saga, journal: Sequence[JournalRow]) -> Iterator[tuple[int, Attempt]]:
    steps = {step.name: step for step in definition.steps}
    for number, row in enumerate(journal):
        step = steps.get(row.step or "")
        call = _call(step, row) if step else None
        if call is not None and row.duration_ms is not None:
            probe, poll = is_probe(row), bool(polls(row))
            yield number, Attempt(row=row, outcome=outcome(row), call=call, probe=probe, poll=poll)


def _call(step: Step, row: JournalRow) -> Call | None:
    """Return the call whose outcome the row records."""
    if is_probe(row):
        return step.probe
    if polls(row):
        return step.poll
    return step.undo if row.direction == Direction.UNDO else step.call
