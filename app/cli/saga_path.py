"""The path of one saga: the mark, the calls and the last problem of each step of its table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.cli.output import Mark
from app.services import services
from app.store.models import JournalRow, SagaRow
from app.views.amounts import money_lines
from app.views.available_actions import action_names, refused_actions, sends_now
from app.views.effects import by_whom, effect_words
from app.views.known_effects import effects_now
from app.views.polls import polls_of
from app.views.titles import reason_words
from machines.answers import as_found
from machines.history import Effect, StepEffect, StepResult, is_probe, outcome, polls, replies, sends_call, steps_of
from machines.outcomes import Outcome
from machines.saga import Saga
from machines.send_now import SEND_NOW
from machines.statuses import Status, StepStatus
from machines.step import Kind, Step
from machines.transitions import Direction, Trigger

_FAILURES = {Trigger.REFUSED: "refused", Trigger.REFUSED_IN_DOUBT: "refused in doubt", Trigger.EXPIRE: "too late"}


@dataclass(frozen=True, kw_only=True)
class Calls:
    """The calls of a step in one direction."""

    #: Number of attempts.
    sent: int
    #: Number of probes whose reply decided the next move of the saga.
    probes: int
    #: Number of polls that asked for the answer to the accepted call.
    polls: int
    #: Number of times that the call could not be sent.
    unsent: int
    #: Duration of all attempts, in milliseconds.
    ms: float


@dataclass(frozen=True, kw_only=True)
class StepOnPath:
    """One step of the path."""

    step: Step
    mark: Mark
    #: The mark in words.
    word: str
    do: Calls
    undo: Calls
    #: The last problem with the step.
    note: str | None
    #: What the step has left at its participant; None for a step that changes nothing.
    effect: StepEffect | None


def path_of(
    definition: Saga, saga: SagaRow, journal: Sequence[JournalRow], effects: Sequence[StepEffect]
) -> list[StepOnPath]:
    """Return the steps of a saga. effects: of `app.views.known_effects.effects_now`."""
    known = {effect.step.name: effect for effect in effects}
    return [
        _step_on_path(definition, saga, journal, view, known.get(view.step.name))
        for view in steps_of(definition, saga, journal)
    ]


def goes_back(definition: Saga, saga: SagaRow) -> bool:
    """Return True when the saga is compensating, is compensated, or is stuck in a compensation."""
    return saga.status in (Status.COMPENSATING, Status.COMPENSATED) or _undoing(definition, saga.state)


def passed_pivot(definition: Saga, journal: Sequence[JournalRow]) -> bool:
    pivots = {step.done for step in definition.steps if step.kind == "pivot"}
    return any(row.dest in pivots for row in journal)


def commands_for(definition: Saga, saga: SagaRow, journal: Sequence[JournalRow]) -> list[str]:
    """Return the names of the commands that the saga takes in its state."""
    if saga.status == Status.PENDING:
        return []
    may_refuse = saga.arrived or saga.parent_id is not None or definition.starts_others
    refused = refused_actions(services().sagas, definition, saga, replies(journal)) if may_refuse else {}
    now = [SEND_NOW.replace("_", "-")] if sends_now(definition, saga) else []
    return [*now, *(name for name in action_names(definition, saga.state) if name not in refused)]


def known_now(definition: Saga | None, saga: SagaRow, journal: Sequence[JournalRow]) -> dict[str, Any]:
    """Return what `app.cli.drawing` needs beside the journal.

    The effects of the steps, what was done with money, and the paused participants.
    """
    effects, registry = effects_now(definition, saga, journal), services().registry
    money = money_lines(registry, definition, saga, effects, replies(journal)) if definition else {}
    words = [str(line) for lines in money.values() for line in lines]
    return {"effects": effects, "money": words, "paused": services().pauses.names}


def _step_on_path(
    definition: Saga, saga: SagaRow, journal: Sequence[JournalRow], view: StepResult, effect: StepEffect | None
) -> StepOnPath:
    own = [row for row in journal if row.step == view.step.name]
    mark, word = _mark_and_word(definition, saga, journal, view, by_whom(effect) if effect else "")
    if mark in (Mark.FAILED, Mark.UNDONE) and effect is not None and _says_more(effect, mark):
        mark = Mark.UNDONE if as_found(effect).effect is Effect.UNDONE else Mark.FAILED
        word = effect_words(effect)
    last = own[-1] if own else None
    problem = mark in (Mark.CURRENT, Mark.STUCK, Mark.FAILED) and last is not None and last.trigger != Trigger.SUCCEEDED
    waits = definition.states[saga.state].waits if mark is Mark.CURRENT else None
    polling = polls_of(definition, saga) if waits else None
    note = f"{_call(view.step, last)}: {reason_words(last.reason or 'no reason given')}" if problem and last else None
    note = f"because {own[0].reason}" if mark is Mark.SKIPPED and own else note
    return StepOnPath(
        step=view.step,
        mark=mark,
        word=word,
        do=_calls(own if view.step.call else (), Direction.DO),
        undo=_calls(own, Direction.UNDO),
        note=f"waits for: {waits}{f'; {polling.words}' if polling else ''}" if waits else note,
        effect=effect,
    )


def _says_more(effect: StepEffect, mark: Mark) -> bool:
    """Return True when the effect of a step is another question than the end of its calls in the journal."""
    left = effect.effect is Effect.UNKNOWN or (effect.effect is Effect.TOOK_EFFECT and mark is Mark.FAILED)
    return left or effect.finding is not None


def _mark_and_word(
    definition: Saga, saga: SagaRow, journal: Sequence[JournalRow], view: StepResult, whom: str
) -> tuple[Mark, str]:
    """Return the mark of a step and its word. The latest event of the step decides.

    whom: of `by_whom`.
    """
    step, by_hand = view.step, _requested(definition, journal, view.step, Trigger.RESOLVE)
    if definition.states[saga.state].step == step and saga.status != Status.PENDING:
        return _current(definition, saga)
    if view.status == StepStatus.COMPENSATED or any(_undoing(definition, row.source) for row in by_hand):
        return Mark.UNDONE, _listed("" if view.completed_at else "failed", "undone", whom)
    if view.status == StepStatus.COMPLETED or by_hand:
        to_undo = saga.status != Status.COMPENSATED and goes_back(definition, saga) and step.undo
        read = by_hand and step.kind is Kind.READ
        return Mark.DONE, _listed("done", "by hand" if read else whom, "to undo" if to_undo else "")
    if view.status in (StepStatus.FAILED, StepStatus.SKIPPED):
        return _not_done(journal, view)
    if _requested(definition, journal, step, Trigger.CANCEL):
        return Mark.FAILED, "cancelled"
    return Mark.TO_COME, "not reached" if goes_back(definition, saga) else "to come"


def _listed(*words: str) -> str:
    return ", ".join(filter(None, words))


def _not_done(journal: Sequence[JournalRow], view: StepResult) -> tuple[Mark, str]:
    if view.status == StepStatus.SKIPPED:
        return Mark.SKIPPED, "skipped"
    triggers = {row.trigger for row in journal if row.step == view.step.name}
    return Mark.FAILED, next((word for trigger, word in _FAILURES.items() if trigger in triggers), "failed")


def _current(definition: Saga, saga: SagaRow) -> tuple[Mark, str]:
    undoing = goes_back(definition, saga)
    if saga.status == Status.STUCK:
        return Mark.STUCK, "stuck undoing" if undoing else "stuck"
    running = "waiting" if saga.status == Status.WAITING else "running"
    return Mark.CURRENT, "being undone" if undoing else running


def _undoing(definition: Saga, state: str | None) -> bool:
    """Return True for the state of a compensation that is in flight or stuck."""
    return state is not None and definition.states[state].undoes


def _requested(definition: Saga, journal: Sequence[JournalRow], step: Step, trigger: Trigger) -> list[JournalRow]:
    """Return the moves with this trigger that were made while the saga was at this step."""
    states = {name for name, state in definition.states.items() if state.step == step}
    return [row for row in journal if row.trigger == trigger and row.source in states]


def _calls(own: Sequence[JournalRow], direction: Direction) -> Calls:
    rows = [row for row in own if row.direction == direction]
    probes, asked = sum(is_probe(row) for row in rows), sum(polls(row) for row in rows)
    outcomes = [found for row in rows if (found := outcome(row)) and sends_call(row)]
    unsent = outcomes.count(Outcome.NOT_SENT)
    ms = sum(row.duration_ms or 0 for row in rows)
    return Calls(sent=len(outcomes) - unsent, probes=probes, polls=asked, unsent=unsent, ms=ms)


def _call(step: Step, row: JournalRow) -> str:
    if step.probe and is_probe(row):
        return str(step.probe)
    if step.poll and polls(row):
        return str(step.poll)
    return str(step.undo if row.direction == Direction.UNDO and step.undo else step.action)
