"""What a saga is started with: the fields of its `data`, in words that any schema language can be made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

LARGEST_INTEGER = 2**63 - 1
LONGEST_TEXT = 200
LONGEST_LIST = 200


class FieldKind(StrEnum):
    INTEGER = "integer"
    TEXT = "text"
    LIST = "list"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One required field. `low` and `high` bound an integer's value, a text's characters or a list's items."""

    kind: FieldKind
    low: int
    high: int
    items: Mapping[str, "Field"] | None = None


def integer(low: int = 0, high: int = LARGEST_INTEGER) -> Field:
    return Field(kind=FieldKind.INTEGER, low=low, high=high)


def text(low: int = 1, high: int = LONGEST_TEXT) -> Field:
    return Field(kind=FieldKind.TEXT, low=low, high=high)


def list_of(items: Mapping[str, Field], low: int = 1, high: int = LONGEST_LIST) -> Field:
    return Field(kind=FieldKind.LIST, low=low, high=high, items=items)
