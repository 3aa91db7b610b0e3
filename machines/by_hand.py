"""The reply that a person gives to resolve a step that was done by hand.

The reply of a group has what each branch keeps, under the name of the branch. For each() it has what each item keeps,
under the number of the item, from 0, as in the reference `reserve.0.id`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from machines.accepting import NotAcceptedError, accept
from machines.fields import Field
from machines.groups import items_of
from machines.references import EVERY, FillError, parts, within
from machines.saga import Saga
from machines.step import Step


def accepted_by_hand(
    saga: Saga, step: Step, reply: Mapping[str, Any], data: Mapping[str, Any], results: Mapping[str, Any]
) -> tuple[Any, Mapping[str, str]]:
    """Return the stored form of the reply, and the fields that it lacks, see `Saga.accepted`.

    data and results: those of the saga.
    """
    if step.group is None:
        return saga.accepted(step.name, reply)
    result = _all_optional(step.group.result)
    try:
        count = _count(step, data, results)
        stored = accept(result, reply, strict=False) if count is None else _items(reply, count, result.item)
    except NotAcceptedError as error:
        name = ".".join(map(str, error.path))
        return reply, {name: f"{name} {error.problem}"}
    except FillError as error:  # nobody can say which items there are
        return reply, {step.name: str(error)}
    lacking = {name: why for name, why in saga.lacking(step.name, stored).items() if parts(name)[0] != EVERY}
    missing = (name for name in _needed(saga, step, count) if not _has(stored, name))
    return stored, dict.fromkeys(missing, "") | lacking


def with_known(reply: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return a person's reply with what the branches keep that have completed. The person's own values come first."""
    both = {
        name: {**known[name], **given}
        for name, given in reply.items()
        if isinstance(given, Mapping) and isinstance(known.get(name), Mapping)
    }
    return {**known, **reply, **both}


def needed_by_hand(
    saga: Saga, step: Step, data: Mapping[str, Any], results: Mapping[str, Any],
    known: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[str, ...]:  # fmt: skip
    """Return the names of the fields of the reply that later calls need, with the number of each item.

    known: what the branches keep that have completed, which nobody needs to give.
    """
    try:
        return tuple(name for name in _needed(saga, step, _count(step, data, results)) if not _has(known, name))
    except FillError:  # the saga is stuck because of this list
        return ()


def _count(step: Step, data: Mapping[str, Any], results: Mapping[str, Any]) -> int | None:
    """Return the number of items of an each(), and None for every other step."""
    if step.group is None or step.group.over is None:
        return None
    return len(items_of(step.group.over, data, results))


def _needed(saga: Saga, step: Step, count: int | None) -> Iterator[str]:
    for name in sorted(saga.needed_fields[step.name]):
        first, *rest = parts(name)
        if count is None or first != EVERY:
            yield name
        else:
            yield from (".".join([str(number), *rest]) for number in range(count))


def _items(reply: Mapping[str, Any], count: int, item: Field | None) -> list[Any]:
    """Return what each item keeps, as a list. item: its type."""
    assert item is not None
    numbers = [str(number) for number in range(count)]
    if (unknown := next((name for name in reply if name not in numbers), None)) is not None:
        raise NotAcceptedError(f"is no item; the items are 0 to {count - 1}" if count else "is no item", (unknown,))
    stored = []
    for number in numbers:
        try:
            stored.append(accept(item, reply.get(number, {}), strict=False))
        except NotAcceptedError as error:
            raise error.below(number) from None
    return stored


def _all_optional(field: Field) -> Field:
    """Return the field with every member optional, because a person gives only what later calls need."""
    items = {name: _all_optional(each) for name, each in field.items.items()} if field.items is not None else None
    return replace(field, optional=True, items=items, item=_all_optional(field.item) if field.item else None)


def _has(reply: Any, name: str) -> bool:
    try:
        within(reply, parts(name))
    except (LookupError, TypeError):
        return False
    return True
