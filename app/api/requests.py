"""Reading a request: strict JSON, a saga's data by its own table, Idempotency-Key and Prefer."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from flask import request
from marshmallow import RAISE, Schema, ValidationError, fields, validate

from app.errors import InvalidError, MalformedError, MediaTypeError
from machines.fields import Field, FieldKind
from machines.saga import Saga

LONGEST_KEY = 255
LONGEST_WAIT_S = 60.0


def saga_data(definition: Saga) -> Mapping[str, Any]:
    """Give the request's body as the definition's `data`; raise a problem that names each wrong field."""
    try:
        return cast("Mapping[str, Any]", _schema(definition).load(_json_object()))
    except ValidationError as error:
        wrong = [{"pointer": pointer, "detail": detail} for pointer, detail in _flat(error.messages)]
        raise InvalidError("; ".join(f"{w['pointer']}: {w['detail']}" for w in wrong), errors=wrong) from None


def idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise MalformedError(f"Idempotency-Key must have 1 to {LONGEST_KEY} printable ASCII characters")
    return key


def preferred_wait_s() -> float | None:
    """Read RFC 7240 Prefer: `respond-async` is a wait of nothing, `wait=N` of N seconds; anything else is ignored."""
    for preference in ",".join(request.headers.getlist("Prefer")).split(","):
        name, _, value = (part.strip() for part in preference.partition("="))
        if name.lower() == "respond-async":
            return 0.0
        if name.lower() == "wait" and value.isdecimal():
            return min(float(value), LONGEST_WAIT_S)
    return None


def _json_object() -> dict[str, Any]:
    if request.mimetype != "application/json":
        raise MediaTypeError("send Content-Type: application/json")
    try:
        body = json.loads(request.get_data(), object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except RecursionError:
        raise MalformedError("the body is nested too deeply") from None
    except ValueError as error:  # of the JSON, of its encoding, or one of ours below
        raise MalformedError(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise MalformedError("the body must be a JSON object")
    return body


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"name {next(n for n in names if names.count(n) > 1)!r} stands twice")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


@cache
def _schema(definition: Saga) -> Schema:
    return _object_schema(definition.data)()


def _object_schema(data: Mapping[str, Field]) -> type[Schema]:
    class Meta:
        unknown = RAISE

    columns: dict[str, Any] = {name: _marshmallow(field) for name, field in data.items()}
    return cast("type[Schema]", type("DataSchema", (Schema,), {**columns, "Meta": Meta}))


def _marshmallow(field: Field) -> fields.Field[Any]:
    if field.kind is FieldKind.INTEGER:
        return fields.Integer(required=True, strict=True, validate=validate.Range(field.low, field.high))
    length = validate.Length(field.low, field.high)
    if field.kind is FieldKind.TEXT:
        return fields.String(required=True, validate=[length, _printable])
    return fields.List(fields.Nested(_object_schema(field.items or {})), required=True, validate=length)


def _printable(text: str) -> None:
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValidationError("NUL and lone surrogates cannot be stored.")


def _flat(messages: Any, pointer: str = "") -> list[tuple[str, str]]:
    """Turn marshmallow's tree of messages into (JSON pointer, message) pairs."""
    if isinstance(messages, dict):
        return [pair for name, below in messages.items() for pair in _flat(below, f"{pointer}/{name}")]
    return [(pointer, str(message)) for message in messages]
