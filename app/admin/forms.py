"""The query strings and forms of the pages, validated as strictly as the API validates requests."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import request
from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, validate

from app.store.lists import ORDERS
from app.views.effects import FOUND
from app.views.known_names import check_state, check_step, check_type
from app.views.saga_filters import CASES, OVERSTAYED, AttentionWords, FilterWords, order_of
from app.views.validation import LONGEST_REASON, Cursor, Resolution, load, storable
from machines.progress import OPERATOR_ACTIONS
from machines.send_now import SEND_NOW
from machines.statuses import Status

_STATUSES = tuple(Status)
#: Columns of the list of sagas that a person may choose, and those of a person who has not chosen.
COLUMNS = ("client", "store", "order", "amount", "started", "changed", "took", "error")
USUAL_COLUMNS = ("client", "order", "amount", "started", "took", "error")


class _Names(fields.Field[tuple[str, ...]]):
    """Names separated by commas, as the links in the Grafana dashboards write them. check: refuses an unknown one."""

    def __init__(self, check: Callable[[str], object] = storable, **options: Any) -> None:
        super().__init__(**options)
        self._check = check

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[str, ...]:
        names = tuple(name for part in str(value).split(",") if (name := part.strip()))
        for name in names:
            self._check(name)
        return names


class _Statuses(_Names):
    """Statuses separated by commas."""

    def _deserialize(self, value: Any, *arguments: Any, **more: Any) -> tuple[str, ...]:
        names = super()._deserialize(value, *arguments, **more)
        if unknown := sorted(set(names) - set(_STATUSES)):
            raise ValidationError(f"no saga has the status {unknown[0]}; it has one of {', '.join(_STATUSES)}")
        return names


class _Trimmed(fields.String):
    """A text without white space at its ends."""

    def _deserialize(self, value: Any, *arguments: Any, **more: Any) -> str:
        return super()._deserialize(value, *arguments, **more).strip()


class ListQuery(FilterWords):
    type: fields.Field[Any] = _Names(check_type, load_default=())
    after = Cursor(load_default=None)
    sort = fields.String(load_default=ORDERS[0], validate=order_of(ORDERS))
    state: fields.Field[Any] = _Names(check_state, load_default=())
    status = _Statuses(load_default=())
    stuck = fields.Boolean(load_default=False)
    #: True: also the sagas that other sagas have started.
    children = fields.Boolean(load_default=False)
    #: False: without the sagas that wait before their next call to a participant.
    backs_off = fields.Boolean(load_default=None, validate=validate.Equal(False))
    #: Columns of the table beside those that it always has; empty: the usual ones.
    column = fields.List(fields.String(validate=validate.OneOf(COLUMNS)), load_default=list)


class StuckQuery(AttentionWords):
    """The filter of stuck sagas."""

    type: fields.Field[Any] = _Names(check_type, load_default=())
    after = Cursor(load_default=None)

    state = fields.String(load_default="", validate=check_state)
    step = fields.String(load_default="", validate=check_step)
    status = fields.String(load_default="", validate=validate.OneOf(("", *_STATUSES, OVERSTAYED)))
    #: The exact error; None: any error.
    error = fields.String(load_default=None, validate=storable)
    #: The cause of the error, see `app.store.causes.cause`; None: any cause.
    cause = fields.String(load_default=None, validate=storable)
    case = fields.String(load_default="open", validate=validate.OneOf(CASES))
    #: Ticked sagas; empty: all.
    id = fields.List(fields.UUID(), load_default=list)
    #: True: the query comes from the boxes of a list, so at least one saga must be ticked.
    ticked = fields.Boolean(load_default=False)
    job = fields.UUID(load_default=None)


class SagaQuery(Schema):
    """What the page of a saga shows. Other parameters are ignored, because other systems add theirs to links."""

    class Meta:
        unknown = EXCLUDE

    #: Number of the entry of the journal that is shown in full.
    entry = fields.Integer(validate=validate.Range(1, 2**31 - 1))
    #: Number of the entry after which the saga is drawn.
    at = fields.Integer(validate=validate.Range(1, 2**31 - 1))


class Action(Schema):
    """An action on a saga, with the state in which the operator saw the saga."""

    class Meta:
        unknown = RAISE

    csrf_token = fields.String()
    action = fields.String(required=True, validate=validate.OneOf((*OPERATOR_ACTIONS, SEND_NOW)))
    seen = fields.String(required=True, validate=storable)
    reason = _Trimmed(
        required=True,
        validate=[
            validate.Length(1, LONGEST_REASON, error="Say why, in 1 to 500 characters; it is recorded."),
            storable,
        ],
    )


class Asked(Schema):
    """The form that asks the participant; it has no fields of its own."""

    class Meta:
        unknown = RAISE

    csrf_token = fields.String()


class Checked(Schema):
    """What a person has found out about the unknown effects of an ended saga; the reason is read by `form_reason`."""

    class Meta:
        unknown = RAISE

    csrf_token = fields.String()
    reason = fields.String()
    found = fields.String(required=True, validate=validate.OneOf(tuple(FOUND)))


def query_of(schema: Schema) -> dict[str, Any]:
    """Return the validated query string. An empty parameter counts as absent, except those that can be empty."""
    can_be_empty = ("error", "cause")
    given: dict[str, Any] = {
        name: value for name, value in request.args.items() if value.strip() or name in can_be_empty
    }
    for name in ("id", "tag", "column"):
        if values := [value for value in request.args.getlist(name) if value]:
            given[name] = values
    return load(schema, given)


def form_of(schema: Schema, given: Mapping[str, str]) -> dict[str, Any]:
    """Return the validated form."""
    return load(schema, given)


def form_reason() -> str:
    """Return the reason in the form of the request. Raise InvalidError when it is missing or too long."""
    given = {"reason": request.form.get("reason", "").strip()}
    return str(load(Resolution(only=("reason",)), given)["reason"])
