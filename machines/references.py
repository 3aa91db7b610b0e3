"""References: where a value of a call comes from.

client_id               a field of the saga's data
trip.city               a field of an object in the data
fly.booking.id          a field, at any depth, of the reply to step `fly`
cart.items.0.sku        a field of the first item of a list
reserve.*.id            the list with this field of every item of a list
saga.id                 the id of the saga
saga.key                the idempotency key of the call
saga.reply_to           the URL at which the participant answers the call later
item.sku                a field of the current item, within each_item()
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
#: First parts of references with a fixed meaning: the saga itself, and the current item within each_item().
SAGA, ITEM = "saga", "item"
#: Fields of `saga`: the saga's id, and the call's idempotency key.
SAGA_FIELDS = ("id", "key")
#: Reference of the URL at which the participant answers the call later; only the call of a step with `later=` has it.
REPLY_TO = f"{SAGA}.reply_to"
#: Part of a reference that means every item of a list.
EVERY = "*"
#: Values of `saga` and `item` for a call that refers to neither.
NO_ROOTS: Mapping[str, Any] = MappingProxyType({})


_LONGEST_INDEX = 9  # most digits of the index of a list item in a reference
#: Characters that no JSON reader and no database keeps, see `app.values`.
UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class _Masked(str):
    """The text that people see in the place of a secret value."""

    __slots__ = ()


#: The only instance. A function of it, and a reference to a part of it, also result in this instance.
MASKED = _Masked("***")


class FillError(ValueError):
    """The call cannot be built from the saga's data and replies; nothing was sent."""


def idempotency_key(saga_id: str, step: str, direction: str) -> str:
    """Return the idempotency key of a call. Each attempt, the call's probe and its recovery send the same key."""
    return f"{saga_id}/{step}/{direction}"


def call_headers(saga_id: str, step: str, direction: str) -> dict[str, str]:
    """Return the headers that name a call: its idempotency key, its saga and its step."""
    return {"Idempotency-Key": idempotency_key(saga_id, step, direction), "Saga-Id": saga_id, "Saga-Step": step}


def end_name(end: str) -> str:
    """Return the name of the call that is sent at an end, in the place of the name of a step.

    end: completed or compensated. No step has this name, because it has a dot. The participants' barrier accepts it.
    """
    return f"at_end.{end}"


def roots_of(saga_id: str, step: str, direction: str, reply_to: str = MASKED) -> Mapping[str, Any]:
    """Return the values of `saga.…` in one call. direction: "do" or "undo".

    reply_to: the URL for the answer. Each sender that knows this URL can answer for the step, so people see a mask
    instead.
    """
    return {SAGA: {"id": saga_id, "key": idempotency_key(saga_id, step, direction), "reply_to": reply_to}}


@cache
def split(reference: str) -> tuple[str | None, str]:
    """Split a reference into its root (None for a field of the saga's data) and the rest."""
    root, dot, rest = reference.partition(".")
    return (root, rest) if dot else (None, root)


@cache
def parts(reference: str) -> tuple[str, ...]:
    return tuple(reference.split("."))


def look_up(
    reference: str, data: Mapping[str, Any], results: Mapping[str, Any], roots: Mapping[str, Any] = NO_ROOTS
) -> Any:
    """Return the value of a reference. Raise FillError when the value is not known.

    results: the replies, by step. roots: the values of `saga` and `item`.
    """
    path = parts(reference)
    first = path[0]
    try:
        if len(path) == 1:
            return roots[first] if first == ITEM and ITEM in roots else data[first]
        source = roots if first in roots else results if first in results else data
        return within(source[first], path[1:])
    except (LookupError, TypeError):  # a step that was resolved by hand may have no reply
        raise FillError(f"{reference} is not known") from None


def is_index(name: str) -> bool:
    """Return True when a part of a reference is the number of an item of a list, from 0."""
    return name.isdecimal() and len(name) <= _LONGEST_INDEX


def within(value: Any, path: tuple[str, ...]) -> Any:
    """Return the part of a value at a path of names and list indexes. Raise LookupError or TypeError if absent."""
    for place, name in enumerate(path):
        if isinstance(value, (dict, Mapping)):  # dict first, because a Mapping is recognized slowly
            value = value[name]
        elif isinstance(value, list) and is_index(name):
            value = value[int(name)]
        elif isinstance(value, list) and name == EVERY:
            return [within(each, path[place + 1 :]) for each in value]
        elif value is MASKED:
            return MASKED
        else:
            raise LookupError(name)
    return value


def members(value: Any) -> Iterable[Any]:
    """Return the values directly inside a dict or a list; any other value has none."""
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, (list, tuple)) else ()


def unstorable_text(text: str) -> bool:
    """Return True for a text with a NUL or a lone surrogate."""
    return UNSTORABLE.search(text) is not None


def legal_in_header(text: str) -> bool:
    """Return True when each character of a text may be in the value of a header."""
    return text.isascii() and text.isprintable()


def scalar_text(reference: str, value: Any, where: str) -> str:
    """Return a value as text. The text is the same before the saga is stored and after the saga is loaded.

    where: the place of the text, for the error. Raise FillError for null, a list and an object.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value, "f")
        case str() | int() | float():
            return str(value)
        case None:
            raise FillError(f"{reference} is null, which is no part of {where}")
        case _:
            what = "an object" if isinstance(value, Mapping) else "a list"
            raise FillError(f"{reference} is {what}, which is no part of {where}")


def segment(reference: str, value: Any) -> str:
    """Return a value as one segment of a path.

    Raise FillError for null, a list, an object and an empty text, and for `.` and `..`, which lead to another path.
    """
    text = scalar_text(reference, value, "a path")
    if text in ("", ".", ".."):
        raise FillError(f"{reference} is {text!r}, which is no part of a path")
    return quote(text, safe="")
