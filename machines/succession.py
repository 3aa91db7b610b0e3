"""Decides which sagas of an old version of a table can continue with a new version.

A saga can continue with the new version when everything that it has done, or may have done, is the same in both tables.
That is: its first steps, up to the last step whose call may have been sent, have the same names, kinds, calls, undos
and probes. So every idempotency key stays the same, and every undo that the saga still needs is sent as the old table
says. Only the names of their states may differ. The later steps may differ, if the saga's data and replies can fill
their calls.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from machines.accepting import NotAcceptedError, accept
from machines.conditions import references_of
from machines.digest import column_changes, plain
from machines.history import JournalEntry, outcome, replies
from machines.outcomes import Outcome
from machines.references import split
from machines.saga import Saga
from machines.step import Step
from machines.transitions import Phase, awaiting_state, stuck_states

#: Columns of a step with the names of its states.
STATE_COLUMNS = ("doing", "done", "refused", "undoing")
#: The role of a state in its table, such as done, and the number of the state's step, from 0.
StateRole = tuple[str, int]
#: Roles of states that a saga enters only after the call of their step may have been sent.
_AFTER_THE_CALL = frozenset({"done", "refused", "undoing", "stuck", "undo stuck", "awaiting"})


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is known of one unfinished saga. Its journal has the state names of its table, see `machines.renaming`."""

    state: str
    data: Mapping[str, Any]
    journal: Sequence[JournalEntry]
    #: True when the call of the saga's state may have been sent.
    in_doubt: bool


@dataclass(frozen=True, kw_only=True)
class Passage:
    """The result of `passage`: how one saga can move to the other version, or why it cannot."""

    #: State in the other version; None: the saga cannot be moved.
    state: str | None
    #: State of the saga's past or present → its name in the other version, where that differs.
    renamed: Mapping[str, str]
    #: Why the saga cannot continue with the other version, one line for each reason.
    obstacles: tuple[str, ...] = ()


@lru_cache(maxsize=64)
def state_roles(table: Saga) -> Mapping[str, StateRole]:
    """Return the role of each state of a table."""
    found: dict[str, StateRole] = {table.initial: ("initial", 0)}
    for number, step in enumerate(table.steps):
        stuck, undo_stuck = stuck_states(step)
        found |= {getattr(step, column): (column, number) for column in STATE_COLUMNS if getattr(step, column)}
        found |= {stuck: ("stuck", number)} | ({undo_stuck: ("undo stuck", number)} if step.undo else {})
        found |= {awaiting_state(step): ("awaiting", number)} if step.later else {}
    return found | {table.compensated: ("compensated", 0)}


@lru_cache(maxsize=64)
def renames(old: Saga, new: Saga) -> Mapping[str, str]:
    """Return the renamed states: name in the old table → name of the state with the same role in the new one."""
    names = {role: name for name, role in state_roles(new).items()}
    return {name: names[at] for name, at in state_roles(old).items() if names.get(at, name) != name}


def step_changes(old: Step, new: Step) -> list[str]:
    """Return in words what differs between two steps besides the names of their states."""
    was, now = (
        {name: value for name, value in plain(step).items() if name not in STATE_COLUMNS} for step in (old, new)
    )
    where = f"step {old.name!r}: "
    if old.name != new.name:
        return [f"step {old.name!r} is now {new.name!r}"]
    found = list(column_changes(where, was, now))
    if (old.doing is None) != (new.doing is None):
        found.append(f"{where}only one version gives it a state of its own (doing=)")
    return found


@lru_cache(maxsize=64)
def shared_steps(old: Saga, new: Saga) -> int:
    """Return how many of the first steps are the same in both tables, apart from the names of their states."""
    both = zip(old.steps, new.steps, strict=False)
    same = [not step_changes(was, now) for was, now in both]
    return same.index(False) if False in same else len(same)


def first_change(old: Saga, new: Saga) -> str:
    """Return in words the first difference that prevents sagas from continuing with the new version."""
    number = shared_steps(old, new)
    if number >= len(new.steps):
        return f"step {old.steps[number].name!r} is gone"
    if number >= len(old.steps):
        return f"step {new.steps[number].name!r} is new"
    return step_changes(old.steps[number], new.steps[number])[0]


def passage(old: Saga, new: Saga, saga: Standing, mapped: Collection[str] = ()) -> Passage:
    """Return the state in which a saga of the old version continues with the new version, or why it cannot continue.

    mapped: the states of the old version for which a person has given the new name.
    """
    found = list(_obstacles(old, new, saga))
    known = {saga.state, *_states(saga.journal)}
    renamed = {name: now for name, now in renames(old, new).items() if name in known}
    if not found and (unmapped := sorted(f"--map {name}={now}" for name, now in renamed.items() if name not in mapped)):
        found.append(f"states have other names in {new}; add {' '.join(unmapped)}")
    if found:
        return Passage(state=None, renamed=renamed, obstacles=tuple(found))
    return Passage(state=renamed.get(saga.state, saga.state), renamed=renamed)


def _obstacles(old: Saga, new: Saga, saga: Standing) -> Iterator[str]:
    if unknown := {saga.state, *_states(saga.journal)} - state_roles(old).keys():
        yield f"its journal names the state {min(unknown)}, which {old} does not have"
        return
    if not old.states[saga.state].step:
        yield "it has ended"
        return
    number, same = touched(old, saga), shared_steps(old, new)
    if number > same:
        yield f"step {old.steps[number - 1].name!r} may have been called, and {first_change(old, new)} in {new}"
        return
    ahead = _ahead(old, new, saga, number)
    if isinstance(ahead, str):
        yield ahead
        return
    if old.states[saga.state].phase is not Phase.UNDOING and not old.states[saga.state].undoes:
        yield from _missing_data(new, ahead, saga.data)
        at = old.states[saga.state]
        awaited = at.step.name if at.step and at.awaits_answer else None  # its answer will contain the needed fields
        kept = {name: reply for name, reply in replies(saga.journal).items() if name != awaited}
        yield from _missing_replies(new, number, kept)


def touched(old: Saga, saga: Standing) -> int:
    """Return how many of the first steps the saga has called, or may have called."""
    numbers = {step.name: number for number, step in enumerate(old.steps)}
    found = [0]
    for name in (saga.state, *_states(saga.journal)):
        role, number = state_roles(old)[name]
        found.append(number + (role in _AFTER_THE_CALL))
    found += [
        numbers.get(row.step, len(numbers)) + 1
        for row in saga.journal
        if row.step is not None and outcome(row) is not Outcome.NOT_SENT
    ]
    at = old.states[saga.state]
    if at.step is not None and (saga.in_doubt or at.phase is not Phase.FORWARD):
        found.append(numbers[at.step.name] + 1)
    return min(max(found), len(old.steps))


def _ahead(old: Saga, new: Saga, saga: Standing, number: int) -> str | Sequence[Step]:
    """Return the steps of the new version that the saga may call next, or the reason why it can call none."""
    at = old.states[saga.state]
    if at.phase is not Phase.FORWARD or number > len(new.steps):
        return new.steps[number:]
    assert at.step is not None
    here = old.steps.index(at.step)
    if here >= len(new.steps):
        return f"{new} has no step after {old.steps[here - 1].name!r}, where the saga stands"
    now = new.steps[here]
    if (at.step.doing is None) != (now.doing is None):
        return f"only one version gives step {at.step.name!r} a state of its own (doing=)"
    named = {row.step for row in saga.journal}
    if at.step.name in named and now.name != at.step.name:
        return f"its journal names step {at.step.name!r}, which is {now.name!r} in {new}"
    return new.steps[number:]


def _missing_data(new: Saga, ahead: Iterable[Step], data: Mapping[str, Any]) -> Iterator[str]:
    """Yield each field that a later call needs and that the saga's data lacks, or has with an illegal value."""
    for step in ahead:
        for name in sorted(data_of(new, step)):
            field = new.data[name]
            if name not in data:
                if not field.optional:
                    yield f"its data has no {name!r}, which step {step.name!r} of {new} sends"
                continue
            try:
                same = accept(field, data[name]) == data[name]
            except NotAcceptedError:
                same = False
            if not same:
                yield f"its {name!r} is no {field.kind}, as step {step.name!r} of {new} needs it"


def data_of(table: Saga, step: Step) -> set[str]:
    """Return the fields of the data that the calls of a step, its condition, or the end of its pause refer to."""
    named = [each for call in step.calls for each in call.references]
    if step.waits is not None and step.waits.until is not None:
        named.append(step.waits.until)
    if step.when is not None:
        named += references_of(step.when)
    return {rest if root is None else root for root, rest in map(split, named)} & table.data.keys()


def _missing_replies(new: Saga, number: int, kept: Mapping[str, Any]) -> Iterator[str]:
    for step in new.steps[:number]:
        if step.name in kept:
            for field in new.lacking(step.name, kept[step.name]):
                yield f"the kept reply of step {step.name!r} lacks {field!r}, which {new} needs later"


def _states(journal: Iterable[JournalEntry]) -> Iterator[str]:
    for row in journal:
        yield row.dest
        if row.source is not None:
            yield row.source
