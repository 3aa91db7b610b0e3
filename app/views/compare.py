"""Two sagas of one type side by side: where their ways part, the time of each step, and the data that differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

from app.store.models import JournalRow
from machines.history import replies
from machines.renaming import as_named_now

#: Most values that differ and are shown.
MOST_VALUES = 200
#: A value that one of two sagas does not have.
ABSENT = object()


@dataclass(frozen=True, kw_only=True)
class Line:
    """Moves of two journals that stand side by side; None: that saga made no such move."""

    left: JournalRow | None
    right: JournalRow | None

    @property
    def differs(self) -> bool:
        return self.left is None or self.right is None or _move(self.left) != _move(self.right)


@dataclass(frozen=True, kw_only=True)
class Times:
    """The calls of one step in two sagas: their number, and their duration together in milliseconds."""

    step: str
    direction: str
    left_calls: int
    right_calls: int
    left_ms: float
    right_ms: float


@dataclass(frozen=True, kw_only=True)
class Value:
    """A value that differs. A side is ABSENT when that saga does not have the value."""

    #: Where the value is, such as `data.client_id` or `reply of pay.amount`.
    path: str
    left: Any
    right: Any


@dataclass(frozen=True, kw_only=True)
class Side:
    """What is compared of one saga, without secrets."""

    data: Mapping[str, Any]
    journal: Sequence[JournalRow]


def lines(left: Side, right: Side) -> list[Line]:
    """Return both journals, with equal moves side by side."""
    ours, theirs = as_named_now(left.journal), as_named_now(right.journal)
    matched = SequenceMatcher(None, [_move(row) for row in ours], [_move(row) for row in theirs], autojunk=False)
    return [
        Line(left=mine, right=its)
        for _, start, end, from_, to in matched.get_opcodes()
        for mine, its in zip_longest(ours[start:end], theirs[from_:to])
    ]


def times(left: Side, right: Side) -> list[Times]:
    """Return the calls of each step, in the order in which the steps were called."""
    ours, theirs = _calls(left.journal), _calls(right.journal)
    return [
        Times(
            step=step, direction=direction,
            left_calls=len(ours.get((step, direction), ())), right_calls=len(theirs.get((step, direction), ())),
            left_ms=sum(ours.get((step, direction), ())), right_ms=sum(theirs.get((step, direction), ())),
        )
        for step, direction in ours | theirs
    ]  # fmt: skip


def values(left: Side, right: Side) -> list[Value]:
    """Return the values of the start data and of the replies that differ, at most MOST_VALUES."""
    ours, theirs = dict(_all_values(left)), dict(_all_values(right))
    differing = (path for path in ours | theirs if ours.get(path, ABSENT) != theirs.get(path, ABSENT))
    return [
        Value(path=path, left=ours.get(path, ABSENT), right=theirs.get(path, ABSENT))
        for path, _ in zip(differing, range(MOST_VALUES), strict=False)
    ]


def _move(row: JournalRow) -> tuple[str, str | None, str | None, str]:
    return row.trigger, row.step, row.direction, row.dest


def _calls(journal: Sequence[JournalRow]) -> dict[tuple[str, str], list[float]]:
    """Return step and direction → the durations of the calls, in milliseconds."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in journal:
        if row.step is not None and row.duration_ms is not None:
            found.setdefault((row.step, row.direction or ""), []).append(row.duration_ms)
    return found


def _all_values(side: Side) -> Iterator[tuple[str, Any]]:
    yield from _flat("data", side.data)
    for step, reply in replies(side.journal).items():
        yield from _flat(f"reply of {step}", reply)


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield each value with its path; an empty object or list is a value."""
    if isinstance(value, Mapping) and value:
        for name, each in value.items():
            yield from _flat(f"{path}.{name}", each)
    elif isinstance(value, list) and value:
        for number, each in enumerate(value):
            yield from _flat(f"{path}[{number}]", each)
    else:
        yield path, value
