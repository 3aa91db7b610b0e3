"""The schema of a saga's `data`, derived from the fields of its table."""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any, cast
from uuid import UUID

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from app.views.validation import storable
from machines.fields import Field, FieldKind
from machines.saga import Saga

#: Decimals of an amount: cents.
_DECIMALS = 2


@cache
def data_schema(definition: Saga) -> Schema:
    """Return the schema that validates the data of a new saga."""
    return _object_schema(definition.data)()


def json_schema(data: Mapping[str, Field]) -> dict[str, Any]:
    """Return the same schema as JSON Schema, for the API's description."""
    return {
        "type": "object",
        "required": [name for name, field in data.items() if field.default is None],
        "additionalProperties": False,
        "properties": {name: _property(field) for name, field in data.items()},
    }


def example(data: Mapping[str, Field]) -> dict[str, Any]:
    """Return example data that passes the schema."""
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
    """A number with at most two decimals. A text, a boolean or a third decimal is refused and never rounded."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
            raise ValidationError("Not a valid amount.")
        exponent = Decimal(str(value)).normalize().as_tuple().exponent
        if not isinstance(exponent, int) or exponent < -_DECIMALS:
            raise ValidationError("Not an amount with two decimals at most.")
        return value


def _uuid(text: str) -> None:
    try:
        if str(UUID(text)) == text.lower():  # participants may compare texts, so only the usual spelling passes
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
