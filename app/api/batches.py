"""POST /api/v1/sagas/{type}/batch: many starts in one request, with a result for each."""

from typing import Any

from flask import Blueprint, Flask, Response, jsonify, request
from marshmallow import RAISE, Schema, ValidationError, fields, validate

from app.access.limits import require_start
from app.access.permissions import Scope, keeps_to_limits
from app.access.principal import principal
from app.api.openapi.operation import BAD_BODY, EVERY_BATCH, operation
from app.api.request_parsing import UNKNOWN_WEBHOOK, WEBHOOK_HEADER, json_body, refuse_header, refuse_prefer
from app.api.schemas.sagas import BatchResults
from app.engine.batch import Start
from app.errors import InvalidError, MalformedError, ProblemError
from app.services import services
from app.store.instance import SagaSnapshot
from app.values import LARGEST_BATCH, LARGEST_CONTENT, UnreadableError, check, decoded_strictly, written
from app.views.moments import StartAt
from app.views.problems import problem_of
from app.views.saga_data import data_schema
from app.views.saga_json import started_json
from app.views.validation import LARGEST_NUMBER_OF_STARTS, checked_key, load, object_in
from machines.registry import Registry
from machines.saga import Saga

blueprint = Blueprint("batches", __name__, url_prefix="/api/v1/sagas")


class _Batch(Schema):
    class Meta:
        unknown = RAISE

    starts = fields.List(fields.Raw(), required=True, validate=validate.Length(1, LARGEST_NUMBER_OF_STARTS))


def _usable(key: str) -> None:
    """Raise ValidationError for a key that could not be sent in the header Idempotency-Key."""
    if key != key.strip():
        raise ValidationError("It begins or ends with a space.")
    try:
        checked_key(key)
    except MalformedError as error:
        raise ValidationError(f"{error.detail}.") from None


def _allowed(webhook: str) -> None:
    if services().webhooks.named(webhook) is None:
        raise ValidationError(f"It {UNKNOWN_WEBHOOK}.")


class _Start(Schema):
    class Meta:
        unknown = RAISE

    key = fields.String(required=True, validate=_usable)
    data = fields.Dict(required=True)
    webhook = fields.String(validate=_allowed)
    start_at = StartAt(load_default=None)


_START = _Start()


@operation(
    "Start many sagas", "sagas", {200: BatchResults()}, body=EVERY_BATCH, problems=(*BAD_BODY, 409), need=Scope.START,
    conflict="Other requests use keys of this batch at the same time; send the batch again.",
)  # fmt: skip
@keeps_to_limits
def start_batch(saga_type: str) -> Response:
    """Start up to 1,000 sagas in one commit, each with its own idempotency key. Each start gets a result, in order.

    A start with `start_at` runs at that time. A start with wrong data gets a problem, and does not stop the others.
    A batch that is sent again gets the same sagas.
    """
    refuse_prefer("a batch does not wait for its sagas")
    refuse_header("Idempotency-Key", "each start of a batch has its own key, as its member `key`")
    refuse_header(WEBHOOK_HEADER, "each start of a batch has its own, as its member `webhook`")
    definition = services().registry.latest(saga_type)
    require_start(definition.name)
    checked = [_checked(definition, number, each) for number, each in enumerate(_starts())]
    legal = [each for each in checked if isinstance(each, Start)]
    outcomes = iter(services().batches.start(definition, legal, principal().actor))
    results = [
        _result(definition, each.key, next(outcomes)) if isinstance(each, Start) else _result(definition, *each)
        for each in checked
    ]
    return jsonify(results=results)


def add_batches(app: Flask, registry: Registry) -> None:
    """Add a path for each type of saga, as `sagas.add_starts` does."""
    for name in registry.names:
        path = f"{blueprint.url_prefix}/{name}/batch"
        app.add_url_rule(path, "batches.start_batch", start_batch, defaults={"saga_type": name}, methods=["POST"])


def _starts() -> list[Any]:
    """Return the starts in the body, without a check of their values: a bad value must not stop the other starts."""
    request.max_content_length = LARGEST_BATCH
    batch = object_in(json_body(decoded_strictly), "the body")
    starts: list[Any] = load(_Batch(), batch)["starts"]
    return starts


def _checked(definition: Saga, number: int, given: Any) -> Start | tuple[str | None, ProblemError]:
    """Return a valid start. For an invalid start, return its key (None: it has no usable key) and the problem."""
    place = f"/starts/{number}"
    if not isinstance(given, dict):
        return None, InvalidError((place, "Not an object."))
    try:
        _check_values(given, place)
        start = load(_START, given, below=place)
        data = load(data_schema(definition), start["data"], below=f"{place}/data")
    except InvalidError as error:
        return (None if "key" in _START.validate(given) else given["key"]), error
    return Start(
        key=start["key"],
        data=data,
        sent=start["data"],
        webhook=start.get("webhook"),
        start_at=start["start_at"],
    )


def _check_values(given: dict[str, Any], place: str) -> None:
    """Raise InvalidError for a value that cannot be stored, and for data that is too large for one saga."""
    try:
        check(given)
    except UnreadableError as error:
        raise InvalidError((f"{place}{error.pointer}", f"{error}; {error.remedy}")) from None
    if (request.content_length or LARGEST_BATCH) > LARGEST_CONTENT:
        size = len(written(given.get("data")))
        if size > LARGEST_CONTENT:
            raise InvalidError((f"{place}/data", f"It has {size:,} bytes; send at most {LARGEST_CONTENT:,}."))


def _result(definition: Saga, key: str | None, outcome: SagaSnapshot | ProblemError) -> dict[str, Any]:
    if isinstance(outcome, SagaSnapshot):
        saga = started_json(definition, outcome)
        return {"key": key, "saga": saga, "replayed": outcome.replayed, "problem": None}
    problem = problem_of(outcome)
    body = {"type": "about:blank", "title": problem.title, "status": problem.status, "detail": problem.detail}
    return {"key": key, "saga": None, "replayed": False, "problem": body | dict(problem.members)}
