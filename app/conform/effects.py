"""Counts effects: compares what a GET at the participant shows before and after a call."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

#: Most effects that are counted.
_MOST_TIMES = 20

#: Path of a value, with * for an index → how many values it has, and the sum of its numbers.
Counts = Mapping[str, tuple[int, Decimal]]
#: The changes of the numbers of values; or, where a number is the same, of the sums. The paths are left out, because a
#: path may contain the id of a booking.
Change = Sequence[tuple[int, Decimal]]


def counts(value: Any) -> Counts:
    """Return the counts of a JSON value."""
    found: dict[str, tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
    for path, leaf in _leaves(value, ""):
        number = leaf if isinstance(leaf, int | float | Decimal) and not isinstance(leaf, bool) else 0
        many, total = found[path]
        found[path] = many + 1, total + Decimal(str(number))
    return dict(found)


def change(before: Counts, after: Counts) -> Change:
    """Return what has changed between two counts.

    Two actions with the same data have the same change. New numbers are only counted, because each action has other
    ids.
    """
    found = []
    for path in before.keys() | after.keys():
        (many, total), (many_after, total_after) = (each.get(path, (0, Decimal(0))) for each in (before, after))
        if many != many_after:
            found.append((many_after - many, Decimal(0)))
        elif total != total_after:
            found.append((0, total_after - total))
    return sorted(found)


def left_over(before: Counts, done: Counts, after: Counts) -> list[str]:
    """Return the numbers that an undo has forgotten, such as `fees: 5 more`. done: between the action and its undo.

    A participant that shows the undo by values of its own, such as refunds beside debits, has forgotten nothing.
    """
    undone = {path for path in done.keys() | after.keys() if done.get(path) != after.get(path)}
    if not undone or any(before.get(path) == done.get(path) for path in undone):
        return []
    found = []
    for path, (many, total) in after.items():
        known = before.get(path)
        if known is not None and known[0] == many and known[1] != total:
            more = total - known[1]
            found.append(f"{path.lstrip('.') or 'the number'}: {abs(more):f} {'more' if more > 0 else 'less'}")
    return sorted(found)


def in_words(seen: Change, one: Change) -> str:
    """Return how many effects a change shows, in words. one: the change that one effect makes."""
    if not seen:
        return "no effect"
    for times in range(2, _MOST_TIMES + 1):
        if list(seen) == sorted((many * times, total * times) for many, total in one):
            return f"{times} effects"
    return "another change than one effect makes"


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _leaves(each, f"{path}.{name}")
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each, f"{path}.*")
    else:
        yield path, value
