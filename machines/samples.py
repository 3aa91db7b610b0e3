"""Examples of the values that a table's fields accept."""

from collections.abc import Mapping
from typing import Any

from machines.fields import Field, FieldKind


def example(data: Mapping[str, Field]) -> dict[str, Any]:
    """Return example data that the fields accept."""
    return {name: example_of(field) for name, field in data.items()}


def example_of(field: Field) -> Any:
    """Return an example value of one field."""
    if field.kind is FieldKind.OBJECT:
        return example(field.items or {})
    if field.kind is FieldKind.LIST:
        return [example_of(field.item) if field.item else example(field.items or {})]
    return field.example
