"""The query strings and forms of the pages, read as strictly as the API reads its own."""

from collections.abc import Mapping
from typing import Any

from flask import request
from marshmallow import RAISE, Schema, ValidationError, fields, validate

from app.api.data import storable
from app.api.listing import Cursor
from app.api.reading import load
from app.engine.service import MOVES

LONGEST_REASON = 500
_STATUSES = ("pending", "running", "compensating", "stuck", "completed", "compensated")


class _Several(fields.Field[tuple[str, ...]]):
    """Names with commas between them, as Grafana gives them."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[str, ...]:
        storable(str(value))
        return tuple(name for part in str(value).split(",") if (name := part.strip()))


class _Statuses(_Several):
    """Several, each of which a saga may have."""

    def _deserialize(self, value: Any, *arguments: Any, **more: Any) -> tuple[str, ...]:
        names = super()._deserialize(value, *arguments, **more)
        if unknown := sorted(set(names) - set(_STATUSES)):
            raise ValidationError(f"no saga has the status {unknown[0]}; it has one of {', '.join(_STATUSES)}")
        return names


class _Words(fields.String):
    """Text without the blanks around it."""

    def _deserialize(self, value: Any, *arguments: Any, **more: Any) -> str:
        return super()._deserialize(value, *arguments, **more).strip()


class _Query(Schema):
    class Meta:
        unknown = RAISE

    type = _Several(load_default=())
    q = _Words(load_default="", validate=[validate.Length(max=200), storable])
    after = Cursor(load_default=None)


class ListQuery(_Query):
    state = _Several(load_default=())
    status = _Statuses(load_default=())
    stuck = fields.Boolean(load_default=False)


class StuckQuery(_Query):
    """What is stuck. error: word for word; left out for any. no_table: whether the table is not in this release."""

    version = fields.Integer(load_default=None, validate=validate.Range(1))
    state = fields.String(load_default="", validate=storable)
    step = fields.String(load_default="", validate=storable)
    participant = fields.String(load_default="", validate=storable)
    status = fields.String(load_default="", validate=validate.OneOf(("", *_STATUSES)))
    error = fields.String(load_default=None, validate=storable)
    no_table = fields.Boolean(load_default=None)


class Action(Schema):
    """What is to be done with a saga, as whoever asks has seen it. reply_…: what its participant would have said."""

    class Meta:
        unknown = RAISE

    csrf_token = fields.String()
    action = fields.String(required=True, validate=validate.OneOf(tuple(MOVES)))
    seen = fields.String(required=True, validate=storable)
    reason = _Words(
        required=True,
        validate=[
            validate.Length(1, LONGEST_REASON, error="Say why, in 1 to 500 characters; it is recorded."),
            storable,
        ],
    )


def asked(schema: Schema) -> dict[str, Any]:
    """Read the query string. What is left empty in a form is not asked for."""
    return load(schema, {name: value for name, value in request.args.items() if value or name == "error"})


def form(schema: Schema, given: Mapping[str, str]) -> dict[str, Any]:
    return load(schema, given)
