"""What differs between two versions of a table, and what each difference means for running sagas: `saga diff`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from machines.digest import column_changes, plain
from machines.saga import Saga
from machines.step import Step
from machines.succession import STATE_COLUMNS, data_of, first_change, renames, shared_steps, state_roles, step_changes
from machines.transitions import Phase


class Effect(StrEnum):
    """What a difference means for running sagas, in order of severity."""

    #: Running sagas continue with the new table, without a new version.
    WORDING = "wording"
    #: The table needs a new version; every running saga can be moved to that version.
    COMPATIBLE = "compatible"
    #: The table needs a new version; sagas that have called a changed step continue with the old version.
    BREAKING = "breaking"


class Fate(StrEnum):
    """Whether a saga in a state can be moved to the new version."""

    MOVES = "moves"
    #: The saga can be moved only while it has not called a step that differs.
    DEPENDS = "depends"
    STAYS = "stays"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One difference."""

    effect: Effect
    #: Name of the step; None: the difference concerns the whole table.
    step: str | None
    #: The difference in words, in one line.
    text: str


@dataclass(frozen=True, kw_only=True)
class StateFate:
    """Whether the running sagas in one state of the old table can be moved, and to which state."""

    state: str
    fate: Fate
    #: State in the new table of the sagas that can be moved.
    to: str
    #: Why a saga cannot be moved; empty: every saga can be moved.
    reason: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two versions of a table, compared."""

    old: Saga
    new: Saga
    effect: Effect
    differences: tuple[Difference, ...]
    states: tuple[StateFate, ...]


def compare(old: Saga, new: Saga) -> Comparison:
    found, states = tuple(_differences(old, new)), tuple(_fates(old, new))
    if old.digest == new.digest:
        effect = Effect.WORDING
    elif all(each.fate is Fate.MOVES for each in states) and not _lacking(old, new):
        effect = Effect.COMPATIBLE
    else:
        effect = Effect.BREAKING
    return Comparison(old=old, new=new, effect=effect, differences=found, states=states)


def _differences(old: Saga, new: Saga) -> Iterator[Difference]:
    yield from _of_steps(old, new)
    for name, now in renames(old, new).items():
        role, number = state_roles(old)[name]
        if number >= shared_steps(old, new) and role not in ("initial", "compensated"):
            continue  # no saga that was in this state can be moved
        text = f"state {name} is now {now}: migrate-running needs --map {name}={now}"
        yield Difference(effect=Effect.COMPATIBLE, step=None, text=text)
    for name, (step, text) in _lacking(old, new).items():
        yield Difference(effect=Effect.BREAKING, step=step, text=f"data: {name!r} of running sagas {text}")
    for text in _of_the_table(*(_whole(table) for table in (old, new))):
        yield Difference(effect=Effect.WORDING, step=None, text=text)


def _of_steps(old: Saga, new: Saga) -> Iterator[Difference]:
    before, after = ({step.name: step for step in table.steps} for table in (old, new))
    for name in before:
        if name not in after:
            yield Difference(effect=Effect.BREAKING, step=name, text=f"step {name!r} is gone")
    for number, name in enumerate(after):
        if name not in before:
            last = number >= len(old.steps) and shared_steps(old, new) == len(old.steps)
            effect = Effect.COMPATIBLE if last else Effect.BREAKING
            yield Difference(effect=effect, step=name, text=f"step {name!r} is new")
    kept, order = [name for name in before if name in after], [name for name in after if name in before]
    if kept != order:
        text = f"the order of the steps was {', '.join(kept)} and is {', '.join(order)}"
        yield Difference(effect=Effect.BREAKING, step=None, text=text)
    for name in kept:
        for text in step_changes(before[name], after[name]):
            yield Difference(effect=Effect.BREAKING, step=name, text=text)
        for text in _wording(before[name], after[name]):
            yield Difference(effect=Effect.WORDING, step=name, text=text)


def _wording(old: Step, new: Step) -> Iterator[str]:
    """Yield each difference in columns that may change under a running saga."""
    fixed, whole = (
        [{name: value for name, value in plain(step, whole=deep).items() if name not in STATE_COLUMNS}
         for step in (old, new)]
        for deep in (False, True)
    )  # fmt: skip
    changed = {name for name in fixed[0].keys() | fixed[1].keys() if fixed[0].get(name) != fixed[1].get(name)}
    was, now = ({name: value for name, value in each.items() if name not in changed} for each in whole)
    yield from column_changes(f"step {old.name!r}: ", was, now)


def _of_the_table(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield each difference in the columns of the whole table. In the data, compare only the names of the fields."""
    was, now = old.get("data", {}), new.get("data", {})
    for name in sorted(was.keys() | now.keys()):
        if was.get(name) != now.get(name):
            yield f"data: {name!r} is {'new' if name not in was else 'gone' if name not in now else 'another field'}"
    yield from column_changes("", {**old, "data": None}, {**new, "data": None})


def _whole(table: Saga) -> Mapping[str, Any]:
    left_out = {"steps", "name", "version", "initial", "completed", "compensated"}
    return {name: value for name, value in plain(table, whole=True).items() if name not in left_out}


def _lacking(old: Saga, new: Saga) -> Mapping[str, tuple[str, str]]:
    """Return the fields of the data that new steps send, and that running sagas lack or have with another type.

    Field → name of the step, and what is wrong.
    """
    found: dict[str, tuple[str, str]] = {}
    for step in new.steps:
        for name in sorted(data_of(new, step)):
            field, was = new.data[name], old.data.get(name)
            if was is None and not field.optional:
                found.setdefault(name, (step.name, f"is missing, and step {step.name!r} sends it"))
            elif was is not None and was.kind is not field.kind:
                text = f"is {was.kind}, and step {step.name!r} sends it as {field.kind}"
                found.setdefault(name, (step.name, text))
    return found


def _fates(old: Saga, new: Saga) -> Iterator[StateFate]:
    same, renamed = shared_steps(old, new), renames(old, new)
    for name, state in old.states.items():
        if state.step is None or state.phase is Phase.PASSING:
            continue
        number = old.steps.index(state.step)
        least = number if state.phase is Phase.FORWARD else number + 1
        most = len(old.steps) if state.undoes else number + 1
        fate, reason = Fate.MOVES, ""
        if least > same or (state.phase is Phase.FORWARD and number >= len(new.steps)):
            fate, reason = Fate.STAYS, first_change(old, new)
        elif most > same:
            step = old.steps[same].name
            fate, reason = Fate.DEPENDS, f"only while step {step!r} was not called: {first_change(old, new)}"
        yield StateFate(state=name, fate=fate, to=renamed.get(name, name), reason=reason)
