"""The fields of a saga's `data`, described so that any schema language can be generated from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

LARGEST_INTEGER = 2**63 - 1  # default bound of integer(); the largest signed 64-bit integer
LARGEST_AMOUNT = 10**9  # default bound of amount()
LONGEST_TEXT = 200  # default bound of text(), in characters
LONGEST_LIST = 200  # default bound of list_of(), in items


class FieldKind(StrEnum):
    INTEGER = "integer"
    AMOUNT = "amount"
    TEXT = "text"
    UUID = "uuid"
    LIST = "list"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of the data that a saga is started with."""

    #: Type of the value.
    kind: FieldKind
    #: Smallest number, or fewest characters of a text or items of a list.
    low: int = 0
    #: Largest number, or most characters of a text or items of a list.
    high: int = 0
    #: Value when the field is left out; None: the field is required.
    default: str | int | None = None
    #: Fields of each item of a list; None for any other kind.
    items: Mapping[str, "Field"] | None = None
    #: Value shown in the API's documentation.
    example: str | int | float | None = None


def integer(low: int = 0, high: int = LARGEST_INTEGER, *, example: int | None = None) -> Field:
    return Field(
        kind=FieldKind.INTEGER, low=low, high=high, example=_near(1, low, high) if example is None else example
    )


def amount(high: int = LARGEST_AMOUNT, *, example: float | None = None) -> Field:
    """Return a field for an amount of money: not negative, with two decimals at most."""
    return Field(kind=FieldKind.AMOUNT, high=high, example=_near(59.98, 0, high) if example is None else example)


def text(low: int = 1, high: int = LONGEST_TEXT, *, default: str | None = None, example: str | None = None) -> Field:
    example = _text_of(low, high) if example is None else example
    return Field(kind=FieldKind.TEXT, low=low, high=high, default=default, example=example)


def uuid(*, default: str | None = None, example: str = "12345678-1234-1234-1234-123456789012") -> Field:
    return Field(kind=FieldKind.UUID, default=default, example=example)


def list_of(items: Mapping[str, Field], low: int = 1, high: int = LONGEST_LIST) -> Field:
    return Field(kind=FieldKind.LIST, low=low, high=high, items=items)


def _near(example: float, low: float, high: float) -> int | float:
    """Return an example within the bounds. Bounds that are not numbers are left for check() to refuse."""
    if not all(isinstance(bound, (int, float)) for bound in (low, high)):
        return example
    return max(low, min(example, high))


def _text_of(low: int, high: int) -> str:
    """Return an example of a legal length. Bounds that no text fits are left for check() to refuse."""
    if not all(isinstance(bound, int) and 0 <= bound <= 10**6 for bound in (low, high)):
        return "text"
    length = max(low, min(len("text"), high))
    return ("text" * (length // 4 + 1))[:length]
