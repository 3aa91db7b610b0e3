"""The schema of a saga's `data`, made from the fields that its table names."""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any, cast
from uuid import UUID

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from app.values import UnreadableError, check
from machines.fields import Field, FieldKind
from machines.saga import Saga


@cache
def data_schema(definition: Saga) -> Schema:
    return _object_schema(definition.data)()


def json_schema(data: Mapping[str, Field]) -> dict[str, Any]:
    """Say the same as JSON Schema, for the API's documentation and its definitions."""
    return {
        "type": "object",
        "required": [name for name, field in data.items() if field.default is None],
        "additionalProperties": False,
        "properties": {name: _property(field) for name, field in data.items()},
    }


def example(data: Mapping[str, Field]) -> dict[str, Any]:
    """Give data that passes."""
    return {name: [example(field.items)] if field.items else field.example for name, field in data.items()}


def _object_schema(data: Mapping[str, Field]) -> type[Schema]:
    class Meta:
        unknown = RAISE

    columns: dict[str, Any] = {name: _column(field) for name, field in data.items()}
    return cast("type[Schema]", type("DataSchema", (Schema,), {**columns, "Meta": Meta}))


def _column(field: Field) -> fields.Field[Any]:
    presence: dict[str, Any] = {"required": True} if field.default is None else {"load_default": field.default}
    length = validate.Length(field.low, field.high)
    match field.kind:
        case FieldKind.INTEGER:
            return fields.Integer(strict=True, validate=validate.Range(field.low, field.high), **presence)
        case FieldKind.AMOUNT:
            return _Amount(validate=validate.Range(field.low, field.high), **presence)
        case FieldKind.TEXT:
            return fields.String(validate=[length, storable], **presence)
        case FieldKind.UUID:
            return fields.String(validate=_uuid, **presence)
        case FieldKind.LIST:
            return fields.List(fields.Nested(_object_schema(field.items or {})), validate=length, **presence)


class _Amount(fields.Field[Any]):
    """A number with two decimals at most; a text, a boolean or a third decimal is a mistake, not to be rounded."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
            raise ValidationError("Not a valid amount.")
        exponent = Decimal(str(value)).normalize().as_tuple().exponent
        if not isinstance(exponent, int) or exponent < -2:  # noqa: PLR2004  cents
            raise ValidationError("Not an amount with two decimals at most.")
        return value


def storable(value: Any) -> None:
    """Check a text that did not come in JSON, or an object of any shape with such texts in it."""
    try:
        check(value)
    except UnreadableError as error:
        raise ValidationError(f"It has {error}; {error.remedy}.") from None


def _uuid(text: str) -> None:
    try:
        if str(UUID(text)) == text.lower():  # of its many spellings, the one that a participant may compare
            return
    except ValueError:
        pass
    raise ValidationError("Not a valid UUID.")


def _property(field: Field) -> dict[str, Any]:
    schema: dict[str, Any]
    match field.kind:
        case FieldKind.INTEGER:
            schema = {"type": "integer", "minimum": field.low, "maximum": field.high}
        case FieldKind.AMOUNT:
            schema = {"type": "number", "minimum": field.low, "maximum": field.high, "multipleOf": 0.01}
        case FieldKind.TEXT:
            schema = {"type": "string", "minLength": field.low, "maxLength": field.high}
        case FieldKind.UUID:
            schema = {"type": "string", "format": "uuid"}
        case FieldKind.LIST:
            items = json_schema(field.items or {})
            schema = {"type": "array", "minItems": field.low, "maxItems": field.high, "items": items}
    return schema if field.default is None else schema | {"default": field.default}
