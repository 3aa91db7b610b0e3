"""The types of values: a `Field` is the type of one value in a saga's `data` or in a reply.

A schema in any language can be generated from fields. `machines.accepting` checks a value against its field.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from typing import Any, TypeVar, cast

from machines.words import word

LARGEST_INTEGER = 2**63 - 1  # default high= of integer(): the largest signed 64-bit integer
LARGEST_AMOUNT = 10**9  # default high= of amount(), money() and decimal(); a larger amount is most likely an error
LONGEST_TEXT = 200  # default high= of text(), in characters; also the longest text that sagas can be searched by
LONGEST_LIST = 200  # default high= of list_of(), in items; a longer list is most likely an error
CENTS = 2  # decimals of amount() and money()
MOST_PLACES = 30  # largest number of decimal places of decimal(); cryptocurrencies have 18
_USUAL_AMOUNT = Decimal("59.98")  # example of amount() and money() whose bounds allow it
_LARGEST_BOUND = Decimal(10) ** 30  # a larger bound is a mistake of the author, and the example ignores it
_BOUND = re.compile(r"-?\d{1,30}(\.\d{1,30})?", re.ASCII)
#: A bound: an int, or a Decimal where the value may have decimals. An author may write any value; check() refuses it.
Bound = Any
#: A field, or what at() and header() return; optional(), nullable(), secret() and personal() return the same type.
Declared = TypeVar("Declared")


class FieldKind(StrEnum):
    INTEGER = "integer"
    AMOUNT = "amount"
    TEXT = "text"
    UUID = "uuid"
    LIST = "list"
    BOOLEAN = "boolean"
    NUMBER = "number"
    DECIMAL = "decimal"
    DATE = "date"
    DATETIME = "datetime"
    CHOICE = "choice"
    OBJECT = "object"
    ANYTHING = "anything"


#: Kinds of fields whose values are texts.
_TEXTS = frozenset({
    FieldKind.TEXT, FieldKind.UUID, FieldKind.DECIMAL, FieldKind.DATE, FieldKind.DATETIME, FieldKind.CHOICE,
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Field:
    """The type of one value."""

    #: Type of the value.
    kind: FieldKind
    #: Smallest number, or fewest characters of a text or items of a list.
    low: Bound = 0
    #: Largest number, or most characters of a text or items of a list.
    high: Bound = 0
    #: Value when the field is left out; None: the field is required, unless it is optional.
    default: str | int | bool | None = None
    #: Fields of an object, or of each item of a list of objects; None for every other field.
    items: Mapping[str, "Field"] | None = None
    #: Type of each item of a list whose items are not objects; None for every other field.
    item: "Field | None" = None
    #: Number of decimal places of a decimal.
    places: int = 0
    #: Legal values of a choice.
    choices: tuple[str, ...] = ()
    #: True: the field can be left out; a call refers to it with maybe() or fallback().
    optional: bool = False
    #: True: the value can be null; a call refers to it with fallback(), or sends null in a body.
    nullable: bool = False
    #: True: no page, reply, command, log line or event shows the value.
    secret: bool = False
    #: True: the value is the datum of a person, and so it is secret, too.
    personal: bool = False
    #: Value shown in the API's documentation.
    example: Any = None

    @property
    def required(self) -> bool:
        return self.default is None and not self.optional

    @property
    def is_text(self) -> bool:
        """True when each value is a text, even one that looks like a number."""
        return self.kind in _TEXTS


@word
def integer(
    low: int = 0, high: int = LARGEST_INTEGER, *, default: int | None = None, example: int | None = None
) -> Field:
    example = int(_near(1, low, high)) if example is None else example
    return Field(kind=FieldKind.INTEGER, low=low, high=high, default=default, example=example)


@word
def amount(
    high: float | str | Decimal = LARGEST_AMOUNT, *, low: int | str | Decimal = 0, example: float | None = None
) -> Field:
    """Return a field for a JSON number that is not negative and has two decimals at most."""
    low, high = _exact(low), _exact(str(high) if isinstance(high, float) and isfinite(high) else high)
    near = _near(_USUAL_AMOUNT, low, high)
    example = (float(near) if isinstance(near, Decimal) else near) if example is None else example
    return Field(kind=FieldKind.AMOUNT, low=low, high=high, example=example)


@word
def money(high: int | str | Decimal = LARGEST_AMOUNT, *, low: int | str | Decimal = 0, example: str = "") -> Field:
    """Return a field for an exact amount of money with two decimals, not negative: the text "12.30"."""
    usual = str(_USUAL_AMOUNT)
    fits = _near(_USUAL_AMOUNT, _exact(low), _exact(high)) == _USUAL_AMOUNT
    return decimal(CENTS, low, high, example=example or (usual if fits else ""))


@word
def decimal(
    places: int,
    low: int | str | Decimal = -LARGEST_AMOUNT,
    high: int | str | Decimal = LARGEST_AMOUNT,
    *,
    example: str = "",
) -> Field:
    """Return a field for an exact decimal number with `places` decimal places: a text, such as "1.250" for three.

    A JSON number without more places is accepted, too. The saga stores and sends the text with all places. The bounds
    are exact: 1, "0.01" or Decimal("0.01"), and no float.
    """
    low, high = _exact(low), _exact(high)
    legal = type(places) is int and 0 <= places <= MOST_PLACES
    example = example or format(Decimal(_near(1, low, high)), f".{places if legal else 0}f")
    return Field(kind=FieldKind.DECIMAL, places=places, low=low, high=high, example=example)


@word
def number(*, example: float = 1.5) -> Field:
    """Return a field for any JSON number, kept exactly."""
    return Field(kind=FieldKind.NUMBER, example=example)


@word
def text(low: int = 1, high: int = LONGEST_TEXT, *, default: str | None = None, example: str | None = None) -> Field:
    example = _text_of(low, high) if example is None else example
    return Field(kind=FieldKind.TEXT, low=low, high=high, default=default, example=example)


@word
def uuid(*, default: str | None = None, example: str = "12345678-1234-1234-1234-123456789012") -> Field:
    return Field(kind=FieldKind.UUID, default=default, example=example)


@word
def boolean(*, default: bool | None = None) -> Field:
    return Field(kind=FieldKind.BOOLEAN, default=default, example=True)


@word
def date(*, example: str = "2027-01-31") -> Field:
    """Return a field for a calendar date: the text "2027-01-31"."""
    return Field(kind=FieldKind.DATE, example=example)


@word
def datetime(*, example: str = "2027-01-31T09:30:00+01:00") -> Field:
    """Return a field for a moment with its time zone (RFC 3339): the text "2027-01-31T09:30:00+01:00"."""
    return Field(kind=FieldKind.DATETIME, example=example)


@word
def choice(*choices: str, default: str | None = None) -> Field:
    """Return a field whose value is one of these texts."""
    return Field(kind=FieldKind.CHOICE, choices=choices, default=default, example=choices[0] if choices else None)


@word
def object_of(fields: Mapping[str, Field]) -> Field:
    return Field(kind=FieldKind.OBJECT, items=fields)


@word
def list_of(items: Mapping[str, Field] | Field, low: int = 1, high: int = LONGEST_LIST) -> Field:
    """Return a field for a list. items: the fields of each object in the list, or the type of each value in it."""
    if isinstance(items, Field):
        return Field(kind=FieldKind.LIST, low=low, high=high, item=items)
    return Field(kind=FieldKind.LIST, low=low, high=high, items=items)


@word
def anything() -> Field:
    """Return a field for any JSON value."""
    return Field(kind=FieldKind.ANYTHING, example={"any": ["JSON"]})


@word
def optional(field: Declared) -> Declared:
    """Return the field as one that can be left out."""
    return cast("Declared", _flagged(field, optional=True))


@word
def nullable(field: Declared) -> Declared:
    """Return the field as one whose value can be null."""
    return cast("Declared", _flagged(field, nullable=True))


@word
def secret(field: Declared) -> Declared:
    """Return the field as one whose value is sent to participants but shown nowhere."""
    return cast("Declared", _flagged(field, secret=True))


@word
def personal(field: Declared) -> Declared:
    """Return the field as one whose value is the datum of the saga's client. It is also secret.

    One flag decides what people see, so nothing can hide a secret and show a personal value.
    """
    return cast("Declared", _flagged(field, secret=True, personal=True))


def _flagged(value: Any, **flag: bool) -> Any:
    """Return the field with these flags. For at() and header(), set the flag of the field inside them.

    Return any other value unchanged; check() refuses it.
    """
    if isinstance(value, Field):
        return replace(value, **cast("Any", flag))
    held = getattr(value, "field", None)
    return replace(value, field=_flagged(held, **flag)) if isinstance(held, Field) else value


def every_value(field: Field) -> tuple[str | bool, ...]:
    """Return the values that a required field can have; none for a type with any number of values."""
    if field.optional or field.nullable:
        return ()
    return (True, False) if field.kind is FieldKind.BOOLEAN else field.choices


def _exact(bound: Bound) -> Bound:
    """Return the Decimal of a bound that is written as a text. Return any other value unchanged; check() tests it."""
    return Decimal(bound) if isinstance(bound, str) and _BOUND.fullmatch(bound) else bound


def _near(example: int | Decimal, low: Bound, high: Bound) -> int | Decimal:
    """Return an example within the bounds. Ignore bounds that are not exact numbers: check() refuses them later."""
    for bound in (low, high):
        exact = Decimal(bound) if isinstance(bound, (int, Decimal)) else Decimal("NaN")
        if not exact.is_finite() or abs(exact) > _LARGEST_BOUND:
            return example
    nearest: int | Decimal = max(low, min(example, high))
    return nearest


def _text_of(low: int, high: int) -> str:
    """Return an example of a legal length. Ignore bounds that are not numbers or too large: check() refuses them."""
    if not all(isinstance(bound, int) and 0 <= bound <= 10**6 for bound in (low, high)):
        return "text"
    length = max(low, min(len("text"), high))
    return ("text" * (length // 4 + 1))[:length]
