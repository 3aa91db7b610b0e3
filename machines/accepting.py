"""Checks a value against its field: a value of the data that a client sends, or of a participant's reply.

The accepted value is the value that is stored and sent. A decimal becomes a text with all of its decimal places.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

from machines.fields import CENTS, Field, FieldKind

#: Longest text of a value in an error message, in characters; a longer text would hide the message.
_LONGEST_SHOWN = 40
#: A date and time with a zone, as RFC 3339 writes it. Python accepts more, such as week dates and times without
#: seconds.
_RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:[0-5]\d)", re.ASCII)
#: Exact arithmetic: more digits than any number that is accepted. Python's default would round to 28.
EXACTLY = Context(prec=5_000)
_PLAIN_DECIMAL = re.compile(r"-?\d{1,100}(\.\d{1,100})?", re.ASCII)


class NotAcceptedError(ValueError):
    """The value does not fit its field. `path`: names of members and indexes of lists that lead to the wrong part."""

    def __init__(self, problem: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(problem)
        self.problem, self.path = problem, path

    def below(self, name: str | int) -> "NotAcceptedError":
        """Return the error with `name`, the value's name or index in its object or list, at the start of the path."""
        return NotAcceptedError(self.problem, (name, *self.path))


def accept(field: Field, value: Any, *, strict: bool = True) -> Any:
    """Return the value as it is stored. Raise NotAcceptedError when it does not fit the field.

    strict: refuse an object with a member that is not a field. Otherwise leave such members out, because a participant
    may add members to its replies.
    """
    if value is None:
        if field.nullable or field.kind is FieldKind.ANYTHING:
            return None
        raise NotAcceptedError("is null")
    if not field.secret:
        return _accept(field, value, strict=strict)
    try:
        return _accept(field, value, strict=strict)
    except NotAcceptedError as error:
        raise NotAcceptedError("is not what its field allows", error.path) from None  # its text may show the secret


def _accept(field: Field, value: Any, *, strict: bool) -> Any:
    if field.kind is FieldKind.OBJECT:
        return _object(field.items or {}, value, strict=strict)
    if field.kind is FieldKind.LIST:
        return _list(field, value, strict=strict)
    return _READERS[field.kind](field, value)


def _object(fields: Mapping[str, Field], value: Any, *, strict: bool) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise NotAcceptedError(f"is {_shown(value)}, no object")
    if strict and (unknown := [name for name in value if name not in fields]):
        raise NotAcceptedError("is no field of this object", (unknown[0],))
    accepted: dict[str, Any] = {}
    for name, field in fields.items():
        if name in value:
            try:
                accepted[name] = accept(field, value[name], strict=strict)
            except NotAcceptedError as error:
                raise error.below(name) from None
        elif field.default is not None:
            accepted[name] = field.default
        elif not field.optional:
            raise NotAcceptedError("is missing", (name,))
    return accepted


def _list(field: Field, value: Any, *, strict: bool) -> list[Any]:
    if not isinstance(value, list):
        raise NotAcceptedError(f"is {_shown(value)}, no list")
    if not field.low <= len(value) <= field.high:
        raise NotAcceptedError(f"has {len(value)} items, not {field.low} to {field.high}")
    item = field.item or Field(kind=FieldKind.OBJECT, items=field.items)
    accepted = []
    for number, each in enumerate(value):
        try:
            accepted.append(accept(item, each, strict=strict))
        except NotAcceptedError as error:
            raise error.below(number) from None
    return accepted


def whole(value: Any) -> Any:
    """Return a number without a fraction as an integer, and every other value unchanged.

    JSON has one number for 5 and 5.0. `app.values` reads an integer beyond 64 bits as a Decimal.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)
    return value


def _integer(field: Field, value: Any) -> int:
    value = whole(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise NotAcceptedError(f"is {_shown(value)}, no integer")
    _within(field, value, _shown(value))
    return value


def _amount(field: Field, value: Any) -> Any:
    exact = _exact(value, from_text=False)
    _places(exact, CENTS, value)
    _within(field, exact, _shown(value))
    return value


def _number(_field: Field, value: Any) -> Any:
    _exact(value, from_text=False)
    return value


def _decimal(field: Field, value: Any) -> str:
    exact = _exact(value, from_text=True)
    _places(exact, field.places, value)
    _within(field, exact, _shown(value))
    text = format(exact.quantize(Decimal(1).scaleb(-field.places), context=EXACTLY), "f")
    return text.removeprefix("-") if exact == 0 else text


def _exact(value: Any, *, from_text: bool) -> Decimal:
    is_number = isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
    if is_number or (from_text and isinstance(value, str) and _PLAIN_DECIMAL.fullmatch(value)):
        exact = Decimal(str(value))
        if exact.is_finite():
            return exact
    raise NotAcceptedError(f"is {_shown(value)}, no {'decimal' if from_text else 'number'}")


def _places(exact: Decimal, places: int, value: Any) -> None:
    exponent = exact.normalize(EXACTLY).as_tuple().exponent
    if isinstance(exponent, int) and exponent < -places:
        raise NotAcceptedError(f"is {_shown(value)}, which has more than {places} decimals")


def _text(field: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise NotAcceptedError(f"is {_shown(value)}, no text")
    if not field.low <= len(value) <= field.high:
        raise NotAcceptedError(f"has {len(value)} characters, not {field.low} to {field.high}")
    return value


def _uuid(_field: Field, value: Any) -> str:
    # A participant may compare UUIDs as texts, so a spelling without hyphens or with braces is refused.
    try:
        if isinstance(value, str) and str(UUID(value)) == value.lower():
            return value
    except ValueError:
        pass
    raise NotAcceptedError(f"is {_shown(value)}, no UUID")


def _boolean(_field: Field, value: Any) -> bool:
    if not isinstance(value, bool):
        raise NotAcceptedError(f"is {_shown(value)}, neither true nor false")
    return value


def _date(_field: Field, value: Any) -> str:
    try:
        if isinstance(value, str) and dt.date.fromisoformat(value).isoformat() == value:
            return value
    except ValueError:
        pass
    raise NotAcceptedError(f'is {_shown(value)}, no date such as "2027-01-31"')


def _datetime(_field: Field, value: Any) -> str:
    try:
        if isinstance(value, str) and _RFC_3339.fullmatch(value) and dt.datetime.fromisoformat(value.upper()):
            return value
    except ValueError:
        pass
    raise NotAcceptedError(f'is {_shown(value)}, no date and time with a zone such as "2027-01-31T09:30:00+01:00"')


def _choice(field: Field, value: Any) -> str:
    if isinstance(value, str) and value in field.choices:
        return value
    raise NotAcceptedError(f"is {_shown(value)}, none of {', '.join(field.choices)}")


def _anything(_field: Field, value: Any) -> Any:
    return value


def _within(field: Field, number: Any, shown: str) -> None:
    if not field.low <= number <= field.high:
        raise NotAcceptedError(f"is {shown}, not from {field.low} to {field.high}")


def _shown(value: Any) -> str:
    """Return a value as a short text for an error message: "an object" or "a list" instead of a long value."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return repr(value) if len(value) <= _LONGEST_SHOWN else f"a text of {len(value)} characters"
        case int() | float() | Decimal():
            text = str(value)
            return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"
        case Mapping():
            return "an object"
        case _:
            return "a list"


_READERS: Mapping[FieldKind, Callable[[Field, Any], Any]] = MappingProxyType({
    FieldKind.INTEGER: _integer, FieldKind.AMOUNT: _amount, FieldKind.TEXT: _text, FieldKind.UUID: _uuid,
    FieldKind.BOOLEAN: _boolean, FieldKind.NUMBER: _number, FieldKind.DECIMAL: _decimal, FieldKind.DATE: _date,
    FieldKind.DATETIME: _datetime, FieldKind.CHOICE: _choice, FieldKind.ANYTHING: _anything,
})  # fmt: skip
