"""Samples of data and replies in which no two values are alike, so that a value at a wrong place is seen.

Where the author has given an example, it is the sample. A text has a space, a slash and an ampersand, because a path
and a query need them encoded.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import UUID
from zlib import crc32

from machines import fields
from machines.accepting import NotAcceptedError, accept
from machines.call import Call
from machines.fields import Field, FieldKind
from machines.keeps import kept_of
from machines.references import parts, within
from machines.samples import example_of
from machines.step import Step

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def distinct(field: Field, place: str) -> Any:
    """Return a value of a type that no other place has, as far as the type allows it."""
    if field.kind is FieldKind.OBJECT:
        return distinct_data(field.items or {}, f"{place}.")
    if field.kind is FieldKind.LIST:
        return [distinct(item_of(field), f"{place}.{number}") for number in range(max(1, int(field.low)))]
    usual = example_of(field)
    value = _of_kind(field, place)
    try:
        return usual if value is None else accept(field, value)
    except NotAcceptedError:
        return usual


def distinct_data(data: Mapping[str, Field], within_: str = "") -> dict[str, Any]:
    """Return data that the fields accept."""
    return {name: distinct(field, f"{within_}{name}") for name, field in data.items()}


def distinct_body(step: Step, call: Call, body: Any, place: str = "") -> Any:
    """Return the body of a reply with a value of its own in each field that the table keeps and that the body has.

    place: see `distinct`; default: the step.
    """
    for name, declared in (call.keeps or step.keeps).items():
        kept = kept_of(name, declared)
        if not kept.header and _has(body, kept.source):
            body = put(body, kept.source, distinct(kept.field, f"{place or step.name}.{name}"))
    return body


def distinct_headers(step: Step, call: Call) -> dict[bytes, bytes]:
    """Return the headers of a success that the table keeps, each with a value of its own."""
    found = {}
    for name, declared in (call.keeps or step.keeps).items():
        kept = kept_of(name, declared)
        if kept.header:
            text = str(distinct(kept.field, f"{step.name}.{name}"))
            text = f"https://saga.example/{quote(text, safe='')}?a=b" if kept.last_segment else text
            found[kept.source.lower().encode()] = text.encode("latin-1", "replace")
    return found


def other_form(step: Step, call: Call, body: Any, headers: Mapping[bytes, bytes]) -> tuple[Any, dict[bytes, bytes]]:
    """Return body and headers of a success without what it may lack, and with the second path of what has two."""
    left = dict(headers)
    for name, declared in (call.keeps or step.keeps).items():
        kept = kept_of(name, declared)
        may_lack = kept.otherwise or kept.field.optional or kept.field.default is not None
        if not may_lack or kept.source in call.means:
            continue
        if kept.header:
            left.pop(kept.source.lower().encode(), None)
        elif _has(body, kept.source):
            body = put(body, kept.source, None)
        if kept.otherwise:
            body = put(body, kept.otherwise, distinct(kept.field, f"{step.name}.{name}"))
    return body, left


def distinct_kept(step: Step, reply: Any, place: str) -> Any:
    """Return the stored reply of a step with values of this place."""
    for name, declared in step.keeps.items():
        if _has(reply, name):
            reply = put(reply, name, distinct(kept_of(name, declared).field, f"{place}.{name}"))
    return reply


def item_of(field: Field) -> Field:
    """Return the type of the items of a list."""
    return field.item or Field(kind=FieldKind.OBJECT, items=field.items)


def put(body: Any, path: str, value: Any) -> Any:
    """Return a copy of a body with a value at a path; without the path when the value is None."""
    first, *rest = parts(path)
    if isinstance(body, list) and first.isdecimal():
        if value is None and not rest:
            return []
        items = body or [{}]
        return [put(items[0], ".".join(rest), value) if rest else value, *items[1:]]
    members = dict(body) if isinstance(body, Mapping) else {}
    if value is None and not rest:
        members.pop(first, None)
    else:
        members[first] = put(members.get(first), ".".join(rest), value) if rest else value
    return members


def put_exactly(body: Any, path: str, value: Any) -> Any:
    """Return a copy of a body with a value at a path that it has; None is put as a null."""
    parent, _, name = path.rpartition(".")
    known = within(body, parts(parent)) if parent else body
    if value is not None or not isinstance(known, Mapping):
        return put(body, path, value)
    with_null = {**known, name: None}
    return put(body, parent, with_null) if parent else with_null


def _has(body: Any, path: str) -> bool:
    try:
        within(body, parts(path))
    except (LookupError, TypeError):
        return False
    return True


def _of_kind(field: Field, place: str) -> Any:
    """Return a value of its own for a place; None: the type has none, or the author has given an example."""
    if field.kind not in _OWN or field.example not in [usual.example for usual in _USUAL[field.kind](field)]:
        return None
    return _OWN[field.kind](field, place, crc32(place.encode()))


def _text(field: Field, place: str, number: int) -> str:
    text = f"{place} & / {place}" if field.low > len(place) else f"{place} &/"
    if field.low <= len(text) <= field.high:
        return text
    length = max(field.low, min(4, field.high))
    return "".join(_LETTERS[(number >> 4 * each) % 26] for each in range(length))


def _decimal(field: Field, places: int, number: int) -> Decimal:
    low, unit = Decimal(field.low), Decimal(1).scaleb(-places)
    return low + unit * (number % (int(min((Decimal(field.high) - low) / unit, Decimal(10_000))) + 1))


#: Type → the fields with the examples that it has when the author gives none.
_USUAL: Mapping[FieldKind, Callable[[Field], Sequence[Field]]] = {
    FieldKind.TEXT: lambda field: [fields.text(field.low, field.high)],
    FieldKind.INTEGER: lambda field: [fields.integer(field.low, field.high)],
    FieldKind.AMOUNT: lambda field: [fields.amount(field.high, low=field.low)],
    FieldKind.DECIMAL: lambda field: [
        fields.decimal(field.places, field.low, field.high), fields.money(field.high, low=field.low)
    ],
    FieldKind.NUMBER: lambda _field: [fields.number()], FieldKind.UUID: lambda _field: [fields.uuid()],
    FieldKind.DATE: lambda _field: [fields.date()], FieldKind.DATETIME: lambda _field: [fields.datetime()],
    FieldKind.ANYTHING: lambda _field: [fields.anything()],
}  # fmt: skip
#: Type → a value for a place and its number.
_OWN: Mapping[FieldKind, Callable[[Field, str, int], Any]] = {
    FieldKind.TEXT: _text,
    FieldKind.INTEGER: lambda field, _, number: field.low + number % min(field.high - field.low + 1, 1_000),
    FieldKind.AMOUNT: lambda field, _, number: float(_decimal(field, fields.CENTS, number)),
    FieldKind.DECIMAL: lambda field, _, number: format(_decimal(field, field.places, number), f".{field.places}f"),
    FieldKind.NUMBER: lambda _, _place, number: number % 1_000 + 0.5,
    FieldKind.UUID: lambda _, _place, number: str(UUID(int=number, version=4)),
    FieldKind.DATE: lambda field, _, number: str(dt.date.fromisoformat(field.example) + dt.timedelta(number % 300)),
    FieldKind.DATETIME: lambda field, _, number: (
        dt.datetime.fromisoformat(field.example) + dt.timedelta(minutes=number % 10_000)
    ).isoformat(),
    FieldKind.ANYTHING: lambda _, place, _number: {"any": [place]},
}  # fmt: skip
