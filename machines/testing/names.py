"""The names that a run can have. A comparison with another name is an error, so no misspelt name keeps a test green.

Only plain texts are checked: names of another run, such as those of an older version of the table, are compared as
they are.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, SupportsIndex, TypeVar, overload

from machines.check_types import mend
from machines.history import Effect
from machines.progress import OPERATOR_ACTIONS
from machines.registry import Registry
from machines.running import Move
from machines.saga import Saga
from machines.statuses import Status
from machines.step import EFFECTFUL, Step
from machines.transitions import Phase

_ENDS = (Phase.COMPLETED, Phase.COMPENSATED)
_ITEM = re.compile(r"\[\d+\]")
_MOVE = re.compile(r"(?:(?:undo )?(?P<step>\w+): )?[^:]+, to (?P<state>\w+)")
_T = TypeVar("_T")


class UnknownNameError(LookupError):
    """A test compares with a name that its table cannot have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """The legal names of one kind."""

    #: The table, and what the names are, such as "travel v1" and "state".
    owner: str
    what: str
    names: tuple[str, ...]
    #: Returns the name that a text stands for, such as `reserve[0]` for `undo reserve[7]`.
    stands_for: Callable[[str], str] = str
    #: Returns why a text cannot be a name, although it stands for one; "": it can.
    impossible: Callable[[str], str] = lambda _: ""

    def check(self, value: object) -> None:
        """Raise UnknownNameError for a text that is none of the names."""
        if not isinstance(value, str) or isinstance(value, Name):
            return
        if (name := self.stands_for(value)) not in self.names:
            remedy = mend(name, self.names, f"write one of {', '.join(self.names) or 'none'}")
            raise UnknownNameError(f"{self.owner} has no {self.what} {value!r}; {remedy}")
        if problem := self.impossible(value):
            raise UnknownNameError(f"{self.owner} has no {self.what} {value!r}; {problem}")


class Name(str):
    """A text that is compared with legal names only."""

    __slots__ = ("known",)
    known: Known

    def __new__(cls, text: str, known: Known) -> Self:
        self = super().__new__(cls, text)
        self.known = known
        return self

    def __eq__(self, other: object) -> bool:
        self.known.check(other)
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        self.known.check(other)
        return str.__ne__(self, other)

    __hash__ = str.__hash__

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


class Names(list[_T]):
    """A list of names that answers questions about legal names only."""

    def __init__(self, each: Iterable[_T], known: Known) -> None:
        super().__init__(each)
        self._known = known

    def __eq__(self, other: object) -> bool:
        self._check(other)
        return list.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        self._check(other)
        return list.__ne__(self, other)

    __hash__ = None  # a list has none

    def _check(self, other: object) -> None:
        for value in other if isinstance(other, list) else ():
            self._known.check(value)

    def __contains__(self, value: object) -> bool:
        self._known.check(value)
        return super().__contains__(value)

    def count(self, value: Any) -> int:
        self._known.check(value)
        return super().count(value)

    @overload
    def __getitem__(self, at: SupportsIndex) -> _T: ...
    @overload
    def __getitem__(self, at: slice) -> "Names[_T]": ...
    def __getitem__(self, at: SupportsIndex | slice) -> "_T | Names[_T]":
        return Names(super().__getitem__(at), self._known) if isinstance(at, slice) else super().__getitem__(at)


def named(each: Iterable[str], known: Known) -> Names[Name]:
    """Return a list of names."""
    return Names((Name(text, known) for text in each), known)


class ByName(dict[str, _T]):
    """Values by name, which answers questions about legal names only."""

    def __init__(self, each: Mapping[str, _T], known: Known, values: Known | None = None) -> None:
        """values: the legal values; None: any value is."""
        super().__init__(each)
        self._known, self._legal_values = known, values

    def __missing__(self, name: str) -> _T:
        self._known.check(name)
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        self._known.check(name)
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self._known.check(name)
        return super().get(name, default)

    def __eq__(self, other: object) -> bool:
        self._check(other)
        return dict.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        self._check(other)
        return dict.__ne__(self, other)

    def _check(self, other: object) -> None:
        for name, value in other.items() if type(other) is dict else ():
            self._known.check(name)
            if self._legal_values is not None:
                self._legal_values.check(value)

    __hash__ = None  # a dict has none


class Vocabulary:
    """The legal names of one saga and of the sagas that its steps start."""

    def __init__(
        self, definition: Saga, registry: Registry, label: Callable[[str], str], prefix: str,
        impossible_item: Callable[[str], str],
    ) -> None:  # fmt: skip
        """label: returns the name of a step in the tree. prefix: of the labels of all its steps.

        impossible_item: returns why no step has a name with the number of an item; "" where one may have it.
        """
        owner = str(definition)
        ends = tuple(name for name, at in definition.states.items() if at.phase in _ENDS)
        places = dict(_labels(definition.steps, registry, prefix, label("").removeprefix(prefix)))
        calling = [(_any_item(each), step) for each, step in places.items() if step.call and step.starts is None]
        called = tuple(each for each, _ in calling)
        sent = (*called, *(f"{purpose} {each}" for each, step in calling for purpose in _further_calls(step)))
        left = (_any_item(each) for each, step in places.items() if step.kind in EFFECTFUL)
        self.states = Known(owner=owner, what="state", names=tuple(definition.states))
        self.ends = Known(owner=owner, what="end", names=ends)
        self.steps = Known(owner=owner, what="step", names=tuple(step.name for step in definition.steps))
        self.events = Known(owner=owner, what="event", names=tuple(definition.events.values()))
        self.calls = Known(owner=owner, what="call", names=sent, stands_for=_any_item, impossible=impossible_item)
        #: Each step by the name that its table gives it, also those that its steps start.
        self.all_steps = Known(owner=owner, what="step", names=tuple(step.name for step in places.values()))
        #: Steps that leave an effect; a read is no mistake, although it leaves none.
        self.effects = Known(
            owner=owner,
            what="step",
            names=tuple(dict.fromkeys((*left, *called))),
            stands_for=_any_item,
            impossible=impossible_item,
        )
        self.moves = Known(
            owner=owner, what="move", names=(*self.steps.names, *self.states.names),
            stands_for=self._unknown_part,
        )  # fmt: skip

    def move(self, move: Move) -> Move:
        """Return a move whose step and states are names."""
        source, step = move.source or None, move.step
        return replace(
            move, source=source and Name(source, self.states), dest=Name(move.dest, self.states),
            step=step and Name(step, self.steps),
        )  # fmt: skip

    def _unknown_part(self, move: str) -> str:
        """Return the part of a move in words that its table does not have, or a part that it has."""
        found = _MOVE.fullmatch(move)
        if found is None:
            return move
        step = found["step"]
        return found["state"] if step is None or step in self.steps.names else step


#: The names that are the same in every table.
STATUSES = Known(owner="a saga", what="status", names=tuple(each.value for each in Status))
LEFT = Known(owner="a step", what="effect", names=tuple(each.value for each in Effect))
ACTIONS = Known(owner="an operator", what="action", names=tuple(OPERATOR_ACTIONS))


def _any_item(label: str) -> str:
    return _ITEM.sub("[0]", label)


def _further_calls(step: Step) -> list[str]:
    """Return what a saga may send for a step beside its call."""
    return [name for name, call in (("undo", step.undo), ("probe", step.probe), ("poll", step.poll)) if call]


def _labels(steps: Iterable[Step], registry: Registry, prefix: str, items: str) -> Iterator[tuple[str, Step]]:
    """Yield the label of each step and of the steps that it starts, at any depth. items: numbers of the items above."""
    for step in steps:
        yield f"{prefix}{step.name}{items}", step
        if step.group is not None:
            below = items + ("[0]" if step.group.over is not None else "")
            for branch in step.group.branches:
                yield from _labels(branch.steps, registry, prefix, below)
        elif step.starts is not None and step.starts in registry.names:
            child = registry.latest(step.starts)
            yield from _labels(child.steps, registry, f"{prefix}{step.name}{items}.", "")
