"""What a field accepts, and as what it is stored: a second reading of the types.

The search compares it with what the engine keeps (`machines.accepting`), so a mistake there does not hide itself.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from machines.fields import CENTS, Field, FieldKind
from machines.samples import example_of
from machines.verify.distinct import item_of

_DIGITS = frozenset("0123456789")
#: Type → most decimals; None: any number of them. Those of a decimal are its own.
_PLACES: Mapping[FieldKind, int | None] = {FieldKind.INTEGER: 0, FieldKind.AMOUNT: CENTS, FieldKind.NUMBER: None}
#: Types with limits.
_BOUNDED = (FieldKind.INTEGER, FieldKind.AMOUNT, FieldKind.DECIMAL, FieldKind.TEXT, FieldKind.LIST)
#: Type → further values that look like one of its values.
_NEAR: Mapping[FieldKind, Sequence[Any]] = {
    FieldKind.TEXT: (7,), FieldKind.BOOLEAN: (0, 1, "true"), FieldKind.DATE: ("20270131", "2027-01-31T00:00:00Z"),
    FieldKind.DATETIME: ("2027-01-31T09:30:00", "2027-01-31"), FieldKind.UUID: ("11111111222243338444555555555555",),
}  # fmt: skip


class UnfitError(ValueError):
    """The value does not fit its field."""


def fitted(field: Field, value: Any) -> Any:
    """Return the value as it is stored, without the members of objects that are no fields. Raise UnfitError."""
    if value is None:
        if field.nullable or field.kind is FieldKind.ANYTHING:
            return None
        raise UnfitError("null")
    if field.kind is FieldKind.OBJECT:
        return _object(field.items or {}, value)
    if field.kind is FieldKind.LIST:
        if not isinstance(value, list) or not field.low <= len(value) <= field.high:
            raise UnfitError(f"{value!r} is no such list")
        return [fitted(item_of(field), each) for each in value]
    number = _number(field, value)
    if number is not None:
        return number
    is_fit = isinstance(value, bool) if field.kind is FieldKind.BOOLEAN else isinstance(value, str)
    if field.kind is FieldKind.ANYTHING or (is_fit and (field.kind is FieldKind.BOOLEAN or _is_text(field, value))):
        return value
    raise UnfitError(f"{value!r} is no {field.kind}")


def unfit(field: Field) -> Iterator[Any]:
    """Yield values that a careless reader takes for values of this type: over its limits, or of another type."""
    tried = [None, True, "x", {}, {"a": 1}, *_NEAR.get(field.kind, ())]
    low, high = (int(field.low), int(field.high)) if field.kind in _BOUNDED else (0, 0)
    if field.kind in _PLACES or field.kind is FieldKind.DECIMAL:
        tried += [str(low), low - 1, high + 1, low + 0.0625] if field.kind in _BOUNDED else ["7"]
    if field.kind is FieldKind.TEXT:
        tried += ["x" * (low - 1), "x" * (high + 1)]
    if field.kind is FieldKind.LIST:
        tried += [[], [example_of(item_of(field))] * (high + 1)]
    if field.kind is FieldKind.OBJECT:
        tried += [{**example_of(field), name: None} for name in field.items or {}]
    tried += [each.swapcase() for each in field.choices]
    yield from (each for each in tried if _is_unfit(field, each))


def otherwise(field: Field, value: Any) -> Any:
    """Return another form in which a participant may send a value, which is stored alike; None: there is none."""
    return f"{value}0" if field.kind is FieldKind.DECIMAL and field.places and isinstance(value, str) else None


def _is_unfit(field: Field, value: Any) -> bool:
    try:
        fitted(field, value)
    except UnfitError:
        return True
    return False


def _object(fields: Mapping[str, Field], value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UnfitError(f"{value!r} is no object")
    found = {name: fitted(field, value[name]) for name, field in fields.items() if name in value}
    for name, field in fields.items():
        if name not in found and field.default is not None:
            found[name] = field.default
        elif name not in found and not field.optional:
            raise UnfitError(f"{name} is missing")
    return found


def _number(field: Field, value: Any) -> Any:
    """Return a number as it is stored; None: the type is none of numbers."""
    if field.kind not in _PLACES and field.kind is not FieldKind.DECIMAL:
        return None
    is_text = field.kind is FieldKind.DECIMAL and isinstance(value, str)
    if isinstance(value, bool) or not (isinstance(value, int | float | Decimal) or (is_text and _is_plain(value))):
        raise UnfitError(f"{value!r} is no number")
    exact = Decimal(str(value))
    most = _PLACES.get(field.kind, field.places)
    if not exact.is_finite():
        raise UnfitError(f"{value!r} is no number")
    whole, _, rest = format(exact, "f").partition(".")
    rest = rest.rstrip("0")
    if most is not None and len(rest) > most:
        raise UnfitError(f"{value!r} has other decimals")
    if field.kind is not FieldKind.NUMBER and not field.low <= exact <= field.high:
        raise UnfitError(f"{value!r} is beyond its limits")
    if field.kind is not FieldKind.DECIMAL:
        return value
    text = f"{whole}.{rest.ljust(field.places, '0')}" if field.places else whole
    return text.removeprefix("-") if exact == 0 else text


def _is_plain(text: str) -> bool:
    whole, point, rest = text.removeprefix("-").partition(".")
    return bool(whole) and set(whole + rest) <= _DIGITS and bool(rest) == bool(point)


def _is_text(field: Field, value: str) -> bool:
    try:
        return field.kind in _TEXTS and _TEXTS[field.kind](field, value)
    except ValueError:
        return False


_TEXTS: Mapping[FieldKind, Callable[[Field, str], bool]] = {
    FieldKind.TEXT: lambda field, value: bool(field.low <= len(value) <= field.high),
    FieldKind.CHOICE: lambda field, value: value in field.choices,
    FieldKind.UUID: lambda _, value: str(UUID(value)) == value.lower(),
    FieldKind.DATE: lambda _, value: str(dt.date.fromisoformat(value)) == value,
    FieldKind.DATETIME: lambda _, value: dt.datetime.fromisoformat(value.upper()).tzinfo is not None,
}  # fmt: skip
