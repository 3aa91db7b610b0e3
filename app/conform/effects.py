"""Counts effects: compares what a GET at the participant shows before and after a call."""

from collections import Counter, defaultdict
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
#: A path, and the fields of the object there that are no objects and no lists. A value alone has the name "".
_Record = tuple[str, tuple[tuple[str, Any], ...]]


def counts(value: Any) -> Counts:
    """Return the counts of a JSON value."""
    found: dict[str, tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
    for path, leaf in _leaves(value, ""):
        number = leaf if _is_number(leaf) else 0
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


def taken_from_others(earlier: Any, own: tuple[Any, Any], undo: tuple[Any, Any]) -> list[str]:
    """Return what an undo has taken away that its action has not added.

    earlier: what was shown before all sagas of the trial. own: before and after the action. undo: before and after its
    undo. What has changed in its place, such as the seats that are left, belongs to all.
    """
    added_by_action = _records(own[1]) - _records(own[0])
    start, end = map(_records, undo)
    removed, added = start - end - added_by_action, end - start
    places, known = {path for path, _ in end}, {path for path, _ in _records(earlier)}
    found = []
    for (path, fields), many in removed.items():
        in_place = "*" not in path and path in places & known
        if not in_place and many > sum(added[each] for each in added if _differ_in_numbers((path, fields), each)):
            found.append(f"{path.lstrip('.')}: {', '.join(str(value) for _, value in fields)}")
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


def _records(value: Any) -> "Counter[_Record]":
    """Return each object of a list as one record, and each other value as a record of its own."""
    return Counter(_records_at(value, "", in_list=False))


def _records_at(value: Any, path: str, *, in_list: bool) -> Iterator[_Record]:
    if isinstance(value, Mapping):
        plain = {name: each for name, each in value.items() if not isinstance(each, Mapping | list)}
        if in_list:
            yield path, tuple(sorted(plain.items()))
        else:
            yield from ((f"{path}.{name}", (("", each),)) for name, each in plain.items())
        for name, each in value.items():
            if name not in plain:
                yield from _records_at(each, f"{path}.{name}", in_list=False)
    elif isinstance(value, list):
        for each in value:
            yield from _records_at(each, f"{path}.*", in_list=True)
    else:
        yield path, (("", value),)


def _differ_in_numbers(one: _Record, other: _Record) -> bool:
    if one[0] != other[0] or len(one[1]) != len(other[1]):
        return False
    return all(
        name == name_2 and (value == value_2 or (_is_number(value) and _is_number(value_2)))
        for (name, value), (name_2, value_2) in zip(one[1], other[1], strict=True)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
