"""The schema of a saga's `data`, derived from the fields of its table."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Any, cast
from uuid import UUID

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from app.views.validation import storable
from machines.accepting import EXACTLY, NotAcceptedError, accept, whole
from machines.fields import Field, FieldKind
from machines.saga import Saga

#: Largest number of decimals of an amount: the smallest unit is a cent.
_DECIMALS = 2


@cache
def data_schema(definition: Saga) -> Schema:
    """Return the schema that validates the data of a new saga."""
    return _object_schema(definition.data)()


@cache
def signal_schema(definition: Saga, step: str) -> Schema:
    """Return the schema that validates the body of the signal that a step waits for."""
    waits = next(each.waits for each in definition.steps if each.name == step)
    return _object_schema(waits.brings if waits else {})()


def json_schema(data: Mapping[str, Field]) -> dict[str, Any]:
    """Return the schema of a new saga's data as JSON Schema, for the API's description."""
    return {
        "type": "object",
        "required": [name for name, field in data.items() if field.required],
        "additionalProperties": False,
        "properties": {name: _property(field) for name, field in data.items()},
    }


def _object_schema(data: Mapping[str, Field]) -> type[Schema]:
    class Meta:
        unknown = RAISE

    columns: dict[str, Any] = {name: _column(field) for name, field in data.items()}
    columns |= {"Meta": Meta, "error_messages": {"type": "Not an object."}}
    return cast("type[Schema]", type("DataSchema", (Schema,), columns))


def _column(field: Field) -> fields.Field[Any]:
    if field.secret:  # its errors must not show the values in it
        field = _secret_throughout(field)
    takes_null = field.nullable or field.kind is FieldKind.ANYTHING
    presence: dict[str, Any] = {"required": field.required, "allow_none": takes_null}
    if field.default is not None:
        presence["load_default"] = field.default
    return _BUILDERS.get(field.kind, _Accepted)(field, **presence)


def _secret_throughout(field: Field) -> Field:
    """Return the field with all fields inside it made secret."""
    items = {name: replace(each, secret=True) for name, each in field.items.items()} if field.items else field.items
    return replace(field, items=items, item=replace(field.item, secret=True) if field.item else None)


def _integer(field: Field, **presence: Any) -> fields.Field[Any]:
    return _Integer(strict=True, validate=validate.Range(field.low, field.high), **presence)


def _amount(field: Field, **presence: Any) -> fields.Field[Any]:
    return _Amount(validate.Range(field.low, field.high), **presence)


def _text(field: Field, **presence: Any) -> fields.Field[Any]:
    return fields.String(validate=[validate.Length(field.low, field.high), storable], **presence)


def _id(_field: Field, **presence: Any) -> fields.Field[Any]:
    return fields.String(validate=_uuid, **presence)


def _list(field: Field, **presence: Any) -> fields.Field[Any]:
    item = _column(field.item) if field.item else fields.Nested(_object_schema(field.items or {}))
    return fields.List(item, validate=validate.Length(field.low, field.high), **presence)


def _object(field: Field, **presence: Any) -> fields.Field[Any]:
    return fields.Nested(_object_schema(field.items or {}), **presence)


class _Accepted(fields.Field[Any]):
    """A field whose value is checked and converted by `machines.accepting`."""

    def __init__(self, field: Field, **presence: Any) -> None:
        super().__init__(**presence)
        self._declared = field

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        try:
            return accept(self._declared, value)
        except NotAcceptedError as error:
            raise ValidationError(f"It {error.problem}.") from None


class _Integer(fields.Integer):
    """An integer, also when it is written with decimals that are zero: JSON has one number for 5 and 5.0."""

    def _validated(self, value: Any) -> Any:
        return super()._validated(whole(value))


class _Amount(fields.Field[Any]):
    """A number with at most two decimals. A text, a boolean or a third decimal is refused; nothing is rounded."""

    def __init__(self, bounds: validate.Range, **presence: Any) -> None:
        super().__init__(**presence)
        self._bounds = bounds

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
            raise ValidationError("Not a valid amount.")
        exact = Decimal(str(value))
        exponent = exact.normalize(EXACTLY).as_tuple().exponent
        if not isinstance(exponent, int) or exponent < -_DECIMALS:
            raise ValidationError("Not an amount with two decimals at most.")
        self._bounds(exact)  # the exact value: 0.29 as a float is less than 0.29
        return value


def _uuid(text: str) -> None:
    try:
        # Only the usual spelling is accepted, because participants may compare ids as texts.
        if str(UUID(text)) == text.lower():
            return
    except ValueError:
        pass
    raise ValidationError("Not a valid UUID.")


def _property(field: Field) -> dict[str, Any]:
    schema = _typed(field)
    if field.nullable and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    if field.nullable and "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    if field.nullable and "anyOf" in schema:
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    if field.secret:
        return schema | {"writeOnly": True}  # without its default, which is a secret value
    return schema if field.default is None else schema | {"default": field.default}


def _typed(field: Field) -> dict[str, Any]:
    bounds = {"minimum": _json(field.low), "maximum": _json(field.high)}
    match field.kind:
        case FieldKind.LIST:
            items = _property(field.item) if field.item else json_schema(field.items or {})
            return {"type": "array", "minItems": field.low, "maxItems": field.high, "items": items}
        case FieldKind.OBJECT:
            return json_schema(field.items or {})
        case FieldKind.DECIMAL:
            return _decimal_schema(field, bounds)
    plain: Mapping[FieldKind, dict[str, Any]] = {
        FieldKind.INTEGER: {"type": "integer", **bounds},
        FieldKind.AMOUNT: {"type": "number", **bounds, "multipleOf": 0.01},
        FieldKind.TEXT: {"type": "string", "minLength": field.low, "maxLength": field.high},
        FieldKind.CHOICE: {"type": "string", "enum": list(field.choices)},
    }
    return plain.get(field.kind) or dict(_FORMATS[field.kind])


def _json(bound: int | Decimal) -> int | float:
    return float(bound) if isinstance(bound, Decimal) else bound


def _decimal_schema(field: Field, bounds: Mapping[str, int | float]) -> dict[str, Any]:
    """Return the schema of a decimal: a text or a number. A pattern cannot express the bounds of the text."""
    digits = len(str(int(max(abs(field.low), abs(field.high)))))
    sign = "" if field.low >= 0 else "-?"
    decimals = rf"[0-9]{{1,{field.places}}}0*" if field.places else "0+"
    number = {"type": "number", "multipleOf": 10**-field.places} if field.places else {"type": "integer"}
    return {
        "description": f"a decimal from {field.low} to {field.high} with at most {field.places} places",
        "anyOf": [
            {"type": "string", "pattern": rf"^{sign}0*[0-9]{{1,{digits}}}(\.{decimals})?$"},
            {**number, **bounds},
        ],
    }


#: Field kind → JSON Schema, for the kinds that have no bounds.
_FORMATS: Mapping[FieldKind, Mapping[str, str]] = MappingProxyType({
    FieldKind.UUID: {"type": "string", "format": "uuid"},
    FieldKind.BOOLEAN: {"type": "boolean"},
    FieldKind.NUMBER: {"type": "number"},
    FieldKind.DATE: {"type": "string", "format": "date"},
    FieldKind.DATETIME: {"type": "string", "format": "date-time"},
    FieldKind.ANYTHING: {},
})  # fmt: skip
#: Field kind → function that builds the marshmallow field. `machines.accepting` reads the values of all other kinds.
_BUILDERS: Mapping[FieldKind, Callable[..., fields.Field[Any]]] = MappingProxyType({
    FieldKind.INTEGER: _integer, FieldKind.AMOUNT: _amount, FieldKind.TEXT: _text, FieldKind.UUID: _id,
    FieldKind.LIST: _list, FieldKind.OBJECT: _object,
})  # fmt: skip
