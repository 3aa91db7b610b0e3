"""The path of one saga: what has become of each step of its table, told from the journal."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.cli.words import Mark
from app.store.models import JournalRow, SagaRow
from app.views.steps import StepView, outcome, steps_of
from machines.progress import Outcome, requests
from machines.saga import Saga
from machines.step import Step
from machines.transitions import Trigger

#: What `saga compensate` asks for, whichever of them the table has.
_UNDOES = {Trigger.COMPENSATE, Trigger.COMPENSATE_INCLUDING, Trigger.CANCEL}
_FAILURES = {Trigger.REFUSED: "refused", Trigger.REFUSED_IN_DOUBT: "refused in doubt", Trigger.EXPIRE: "too late"}


@dataclass(frozen=True, kw_only=True)
class Calls:
    """The calls that were made for a step in one direction. sent: attempts; unsent: how often none could be sent."""

    sent: int
    unsent: int
    ms: float


@dataclass(frozen=True, kw_only=True)
class Stop:
    """One step on the path. word: its mark in words. note: what its participant said last, where that was not well."""

    step: Step
    mark: Mark
    word: str
    do: Calls
    undo: Calls
    note: str | None


def path_of(definition: Saga, saga: SagaRow, journal: Sequence[JournalRow]) -> list[Stop]:
    return [_stop(definition, saga, journal, view) for view in steps_of(definition, saga, journal)]


def goes_back(definition: Saga, saga: SagaRow) -> bool:
    """Tell whether what was done is being undone, or was."""
    return saga.status in ("compensating", "compensated") or _undoing(definition, saga.state)


def passed_pivot(definition: Saga, journal: Sequence[JournalRow]) -> bool:
    pivots = {step.done for step in definition.steps if step.kind == "pivot"}
    return any(row.dest in pivots for row in journal)


def open_moves(definition: Saga, saga: SagaRow) -> list[str]:
    """Name the commands that the table allows where the saga stands."""
    if saga.status == "pending":
        return []
    legal = requests(definition, saga.state)
    retry = ["retry"] if Trigger.RETRY in legal else []
    resolve = ["resolve"] if Trigger.RESOLVE in legal else []
    return [*retry, *(["compensate"] if legal & _UNDOES else []), *resolve]


def _stop(definition: Saga, saga: SagaRow, journal: Sequence[JournalRow], view: StepView) -> Stop:
    own = [row for row in journal if row.step == view.step.name]
    mark, word = _fate(definition, saga, journal, view)
    last = own[-1] if own else None
    unwell = mark in (Mark.CURRENT, Mark.STUCK, Mark.FAILED) and last is not None and last.trigger != Trigger.SUCCEEDED
    return Stop(
        step=view.step,
        mark=mark,
        word=word,
        do=_calls(own, "do"),
        undo=_calls(own, "undo"),
        note=f"{_call(view.step, last.direction)}: {last.reason or 'no reason given'}" if unwell and last else None,
    )


def _fate(definition: Saga, saga: SagaRow, journal: Sequence[JournalRow], view: StepView) -> tuple[Mark, str]:
    """Find out what has become of a step, the latest first."""
    step, by_hand = view.step, _asked(definition, journal, view.step, Trigger.RESOLVE)
    if definition.states[saga.state].step == step and saga.status != "pending":
        return _at_work(definition, saga)
    if view.status == "compensated" or any(_undoing(definition, row.source) for row in by_hand):
        return (Mark.UNDONE, "undone") if view.completed_at else (Mark.UNDONE, "failed, undone")
    if view.status == "completed" or by_hand:
        to_undo = saga.status != "compensated" and goes_back(definition, saga) and step.undo
        return Mark.DONE, "done, to undo" if to_undo else "done by hand" if by_hand else "done"
    if view.status == "failed":
        triggers = {row.trigger for row in journal if row.step == step.name}
        return Mark.FAILED, next((word for trigger, word in _FAILURES.items() if trigger in triggers), "failed")
    if _asked(definition, journal, step, Trigger.CANCEL):
        return Mark.FAILED, "cancelled"
    return Mark.TO_COME, "not reached" if goes_back(definition, saga) else "to come"


def _at_work(definition: Saga, saga: SagaRow) -> tuple[Mark, str]:
    undoing = goes_back(definition, saga)
    if saga.status == "stuck":
        return Mark.STUCK, "stuck undoing" if undoing else "stuck"
    return Mark.CURRENT, "being undone" if undoing else "running"


def _undoing(definition: Saga, state: str | None) -> bool:
    """Tell whether this is the state of a compensation: in flight, or stuck."""
    return state is not None and definition.states[state].undoes


def _asked(definition: Saga, journal: Sequence[JournalRow], step: Step, trigger: Trigger) -> list[JournalRow]:
    """Give the moves of this kind that a person asked for while the saga stood at the step."""
    states = {name for name, state in definition.states.items() if state.step == step}
    return [row for row in journal if row.trigger == trigger and row.source in states]


def _calls(own: Sequence[JournalRow], direction: str) -> Calls:
    rows = [row for row in own if row.direction == direction]
    outcomes = [found for row in rows if (found := outcome(row))]
    unsent = outcomes.count(Outcome.NOT_SENT)
    return Calls(sent=len(outcomes) - unsent, unsent=unsent, ms=sum(row.duration_ms or 0 for row in rows))


def _call(step: Step, direction: str | None) -> str:
    return str(step.undo if direction == "undo" and step.undo else step.call)
