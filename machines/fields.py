"""The types of values: a `Field` is the type of one value in a saga's `data` or in a reply.

A schema in any language can be generated from fields. `machines.accepting` checks a value against its field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

LARGEST_INTEGER = 2**63 - 1  # default high= of integer(): the largest signed 64-bit integer
LARGEST_AMOUNT = 10**9  # default high= of amount(), money() and decimal(); a larger amount is most likely an error
LONGEST_TEXT = 200  # default high= of text(), in characters; also the longest text that sagas can be searched by
LONGEST_LIST = 200  # default high= of list_of(), in items; a longer list is most likely an error
CENTS = 2  # decimals of amount() and money()
_USUAL_AMOUNT = 60  # money() with at least this bound has the example "59.98"


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
    low: int = 0
    #: Largest number, or most characters of a text or items of a list.
    high: int = 0
    #: Value when the field is left out; None: the field is required, unless it is optional.
    default: str | int | bool | None = None
    #: Fields of an object, or of each item of a list of objects; None for every other field.
    items: Mapping[str, "Field"] | None = None
    #: Type of each item of a list whose items are no objects; None for every other field.
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
    #: Value shown in the API's documentation.
    example: Any = None

    @property
    def required(self) -> bool:
        return self.default is None and not self.optional

    @property
    def is_text(self) -> bool:
        """True when each value is a text, even one that looks like a number."""
        return self.kind in _TEXTS


def integer(
    low: int = 0, high: int = LARGEST_INTEGER, *, default: int | None = None, example: int | None = None
) -> Field:
    example = int(_near(1, low, high)) if example is None else example
    return Field(kind=FieldKind.INTEGER, low=low, high=high, default=default, example=example)


def amount(high: int = LARGEST_AMOUNT, *, example: float | None = None) -> Field:
    """Return a field for a JSON number that is not negative and has two decimals at most."""
    return Field(kind=FieldKind.AMOUNT, high=high, example=_near(59.98, 0, high) if example is None else example)


def money(high: int = LARGEST_AMOUNT, *, example: str = "") -> Field:
    """Return a field for an exact amount of money with two decimals, not negative: the text "12.30"."""
    usual = "59.98" if isinstance(high, int) and high >= _USUAL_AMOUNT else ""
    return decimal(CENTS, 0, high, example=example or usual)


def decimal(places: int, low: int = -LARGEST_AMOUNT, high: int = LARGEST_AMOUNT, *, example: str = "") -> Field:
    """Return a field for an exact decimal number with `places` decimal places: a text, such as "1.250" for three.

    A JSON number without more places is accepted, too. The saga stores and sends the text with all places.
    """
    whole = _near(1, low, high)
    example = example or (f"{whole}.{'0' * places}" if isinstance(places, int) and places > 0 else str(whole))
    return Field(kind=FieldKind.DECIMAL, places=places, low=low, high=high, example=example)


def number(*, example: float = 1.5) -> Field:
    """Return a field for any JSON number, kept exactly."""
    return Field(kind=FieldKind.NUMBER, example=example)


def text(low: int = 1, high: int = LONGEST_TEXT, *, default: str | None = None, example: str | None = None) -> Field:
    example = _text_of(low, high) if example is None else example
    return Field(kind=FieldKind.TEXT, low=low, high=high, default=default, example=example)


def uuid(*, default: str | None = None, example: str = "12345678-1234-1234-1234-123456789012") -> Field:
    return Field(kind=FieldKind.UUID, default=default, example=example)


def boolean(*, default: bool | None = None) -> Field:
    return Field(kind=FieldKind.BOOLEAN, default=default, example=True)


def date(*, example: str = "2027-01-31") -> Field:
    """Return a field for a calendar date: the text "2027-01-31"."""
    return Field(kind=FieldKind.DATE, example=example)


def datetime(*, example: str = "2027-01-31T09:30:00+01:00") -> Field:
    """Return a field for a moment with its time zone (RFC 3339): the text "2027-01-31T09:30:00+01:00"."""
    return Field(kind=FieldKind.DATETIME, example=example)


def choice(*choices: str, default: str | None = None) -> Field:
    """Return a field whose value is one of these texts."""
    return Field(kind=FieldKind.CHOICE, choices=choices, default=default, example=choices[0] if choices else None)


def object_of(fields: Mapping[str, Field]) -> Field:
    return Field(kind=FieldKind.OBJECT, items=fields)


def list_of(items: Mapping[str, Field] | Field, low: int = 1, high: int = LONGEST_LIST) -> Field:
    """Return a field for a list. items: the fields of each object in the list, or the type of each value in it."""
    if isinstance(items, Field):
        return Field(kind=FieldKind.LIST, low=low, high=high, item=items)
    return Field(kind=FieldKind.LIST, low=low, high=high, items=items)


def anything() -> Field:
    """Return a field for any JSON value."""
    return Field(kind=FieldKind.ANYTHING, example={"any": ["JSON"]})


def optional(field: Field) -> Field:
    """Return the field as one that can be left out."""
    return replace(field, optional=True)


def nullable(field: Field) -> Field:
    """Return the field as one whose value can be null."""
    return replace(field, nullable=True)


def secret(field: Field) -> Field:
    """Return the field as one whose value is sent to participants but shown nowhere."""
    return replace(field, secret=True)


def _near(example: float, low: float, high: float) -> int | float:
    """Return an example within the bounds. Ignore bounds that are not numbers: check() refuses them later."""
    if not all(isinstance(bound, (int, float)) for bound in (low, high)):
        return example
    return max(low, min(example, high))


def _text_of(low: int, high: int) -> str:
    """Return an example of a legal length. Ignore bounds that are not numbers or too large: check() refuses them."""
    if not all(isinstance(bound, int) and 0 <= bound <= 10**6 for bound in (low, high)):
        return "text"
    length = max(low, min(len("text"), high))
    return ("text" * (length // 4 + 1))[:length]
