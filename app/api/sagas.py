"""/api/v1/sagas: the API for sagas of any type."""

from uuid import UUID

from flask import Blueprint, Flask, Response, jsonify, request, url_for
from marshmallow import RAISE, Schema, fields

from app.access.limits import require_start
from app.access.permissions import Scope, keeps_to_limits
from app.access.principal import principal
from app.api.cached import cached
from app.api.list_query import ListQuery, cursor_of, pagination, requested_page
from app.api.openapi.operation import (
    BAD_BODY,
    EVERY_DATA,
    EVERY_SAGA,
    START_ANSWER_HEADERS,
    START_REQUEST_HEADERS,
    operation,
)
from app.api.problems import problem_answer
from app.api.request_parsing import (
    idempotency_key,
    json_object,
    preferred_wait_s,
    reason_given,
    refuse_prefer,
    start_saga,
    start_saga_later,
    webhook_named,
)
from app.api.responses import saga_url, with_location
from app.api.schemas.sagas import (
    Journal,
    SagaCompleted,
    SagaCreated,
    SagaList,
    SagaMoved,
    SagaUnderWay,
    SagaUnfinished,
    SagaWhole,
)
from app.errors import InvalidError
from app.services import services
from app.store import lists, queries
from app.store.instance import SagaSnapshot
from app.store.loading import table_of
from app.views.masking import shown
from app.views.moments import StartAt
from app.views.saga_data import data_schema
from app.views.saga_json import json_with_steps, line_json, move_json, short_json, started_json, whole_json
from app.views.unknown_effects import unknown_words_of
from app.views.validation import Reason, Resolution, load
from app.views.waits import family_of
from machines.registry import Registry, UnknownSagaError
from machines.saga import Saga
from machines.statuses import UNDER_WAY, Status

blueprint = Blueprint("sagas", __name__, url_prefix="/api/v1/sagas")


class _StartQuery(Schema):
    class Meta:
        unknown = RAISE

    start_at = StartAt(
        load_default=None, metadata={"description": "when the saga starts, such as 2027-01-31T09:30:00Z; default: now"}
    )


class _CreateBody(Schema):
    class Meta:
        unknown = RAISE

    type = fields.String(required=True)
    data = fields.Dict(required=True)


#: Endpoints whose URL takes the id of a saga.
MOVES = ("sagas.show", "sagas.journal", "diagrams.show_path", "sagas.execute", "sagas.compensate", "sagas.retry",
         "sagas.resolve", "sagas.send_now")  # fmt: skip


@blueprint.post("")
@operation(
    "Create a saga", "sagas", {201: SagaCreated()}, body=EVERY_SAGA,
    problems=(*BAD_BODY, 409, 422), conflict="The saga of this key has been executed and still runs.",
    request_headers=["Idempotency-Key", "Saga-Webhook"], answer_headers=START_ANSWER_HEADERS,
    leads_to=MOVES, id_at="/saga/id", need=Scope.START,
)  # fmt: skip
@keeps_to_limits
def create() -> Response:
    """Store a saga of any type. POST …/execute starts it. A saga that is not started ends after DRAFT_DAYS.

    POST /api/v1/sagas/{type} stores and starts a saga in one request.
    """
    refuse_prefer("nothing runs yet, so send it with POST …/execute")
    body = load(_CreateBody(), json_object())
    definition = _definition(body["type"])
    require_start(definition.name)
    data = load(data_schema(definition), body["data"], below="/data")
    created = services().sagas.create(
        definition.name, data, idempotency_key(), by=principal().actor, sent=body["data"], webhook=webhook_named()
    )
    saga = queries.get(created.id)
    execute_url = url_for("sagas.execute", saga_id=saga.id)
    if saga.status == Status.PENDING:
        days = services().runner.config.draft_days
        message = f"Saga created; nothing runs yet. POST {execute_url} starts it; unstarted, it ends after {days} days"
    else:
        message = "The saga of this key was started before"
    answer = jsonify(message=message, saga=short_json(saga), execute=execute_url)
    answer.status_code = 201
    return with_location(answer, saga_url(saga.id), replayed=created.replayed)


@operation(
    "Start a saga", "sagas", {201: SagaCompleted(), 202: SagaUnderWay()}, body=EVERY_DATA,
    problems=(*BAD_BODY, 409, 422), conflict="The saga was compensated, or the saga of this key still runs.",
    request_headers=START_REQUEST_HEADERS, answer_headers=START_ANSWER_HEADERS,
    leads_to=("sagas.show", "sagas.journal", "sagas.compensate"), id_at="/id", need=Scope.START, query=_StartQuery,
)  # fmt: skip
@keeps_to_limits
def start(saga_type: str) -> Response:
    """Run a saga in one request. The body is the data of the saga.

    201: the saga has completed. 409: the saga was compensated. 202: the saga still runs, is stuck, or starts at
    `start_at`.
    """
    definition = services().registry.latest(saga_type)
    # Most starts have no query, and the check of an empty query takes 15 us.
    start_at = load(_StartQuery(), request.args.to_dict())["start_at"] if request.query_string else None
    return _ended(definition, start_saga(definition) if start_at is None else start_saga_later(definition, start_at))


def add_starts(app: Flask, registry: Registry) -> None:
    """Add a path for each type of saga. One path with a variable for the type would also match the id of a saga."""
    for name in registry.names:
        app.add_url_rule(
            f"{blueprint.url_prefix}/{name}", "sagas.start", start, defaults={"saga_type": name}, methods=["POST"]
        )


@blueprint.get("")
@operation("List sagas", "sagas", {200: SagaList()}, problems=(400,), query=ListQuery)
@keeps_to_limits
def index() -> Response:
    """List sagas by the filters of the query string."""
    asked = requested_page()
    page = lists.page(
        asked.wanted, services().registry, limit=asked.limit, offset=asked.offset, sort=asked.sort, after=asked.after
    )
    journals = queries.journals([saga.id for saga in page.sagas], replies_of=())
    paged = pagination(page, asked.limit, asked.offset)
    paged |= {"next_cursor": cursor_of(page)} if asked.sort.endswith("created_at") else {}
    paged |= {"searched_from": asked.searched_from.isoformat()} if asked.searched_from else {}
    reach = asked.wanted.reach
    parents = queries.readable([saga.parent_id for saga in page.sagas if saga.parent_id is not None], reach)
    lines = [
        line_json(services().registry, saga, journals[saga.id], reads_parent=saga.parent_id in parents)
        for saga in page.sagas
    ]
    return jsonify(sagas=lines, pagination=paged)


@blueprint.get("/<uuid:saga_id>")
@operation("Show a saga", "sagas", {200: SagaWhole()}, problems=(404,))
@cached
def show(saga_id: UUID) -> Response:
    saga, reach = queries.get(saga_id), principal().reach(Scope.READ)
    journal = queries.journal(saga.id)
    family = family_of(table_of(services().registry, saga, journal), saga, reach)
    return jsonify(whole_json(services().registry, saga, journal, family))


@blueprint.get("/<uuid:saga_id>/journal")
@operation("Show a saga's journal", "sagas", {200: Journal()}, problems=(404,))
def journal(saga_id: UUID) -> Response:
    saga = queries.get(saga_id)
    _, rows = shown(services().registry, saga, queries.journal(saga.id))
    return jsonify(journal=[move_json(row) for row in rows])


@blueprint.post("/<uuid:saga_id>/execute")
@operation(
    "Execute a saga", "sagas", {200: SagaMoved(), 202: SagaUnfinished()},
    problems=(404, 409), request_headers=["Prefer"], answer_headers=["Location"],
    leads_to=MOVES, id_at="/saga/id", need=Scope.START,
)  # fmt: skip
def execute(saga_id: UUID) -> Response:
    """Start a created saga: 200 when it has ended or is stuck, 202 when it still runs."""
    return _moved(services().sagas.execute(saga_id, preferred_wait_s()), "Saga executed")


@blueprint.post("/<uuid:saga_id>/compensate")
@operation(
    "Compensate a saga", "sagas", {200: SagaMoved(), 202: SagaUnfinished()},
    body=Reason(), body_optional=True, problems=(*BAD_BODY, 404, 409),
    request_headers=["Prefer"], answer_headers=["Location"], leads_to=MOVES, id_at="/saga/id", need=Scope.OPERATE,
)  # fmt: skip
def compensate(saga_id: UUID) -> Response:
    """Cancel a running saga, or compensate a completed or stuck saga, as far as its table allows."""
    moved = services().sagas.compensate(saga_id, principal().actor, reason_given(), preferred_wait_s())
    left = unknown_words_of(services().registry, queries.get(saga_id))
    return _moved(moved, f"Saga compensated; look at {left}" if left else "Saga compensated")


@blueprint.post("/<uuid:saga_id>/retry")
@operation(
    "Retry a stuck saga", "sagas", {200: SagaMoved(), 202: SagaUnfinished()},
    body=Reason(), body_optional=True, problems=(*BAD_BODY, 404, 409),
    request_headers=["Prefer"], answer_headers=["Location"], leads_to=MOVES, id_at="/saga/id", need=Scope.OPERATE,
)  # fmt: skip
def retry(saga_id: UUID) -> Response:
    """Send the call of a stuck saga again."""
    return _moved(
        services().sagas.retry(saga_id, principal().actor, reason_given(), preferred_wait_s()), "Saga retried"
    )


@blueprint.post("/<uuid:saga_id>/send-now")
@operation(
    "Send now", "sagas", {200: SagaMoved(), 202: SagaUnfinished()}, body=Reason(), body_optional=True,
    problems=(*BAD_BODY, 404, 409), conflict="Nothing can be sent now; the problem says what the saga waits for.",
    request_headers=["Prefer"], answer_headers=["Location"], leads_to=MOVES, id_at="/saga/id", need=Scope.OPERATE,
)  # fmt: skip
def send_now(saga_id: UUID) -> Response:
    """Make the next attempt of a saga that backs off at once, or end its pause."""
    return _moved(
        services().sagas.send_now(saga_id, principal().actor, reason_given(), preferred_wait_s()), "Saga moved"
    )


@blueprint.post("/<uuid:saga_id>/resolve")
@operation(
    "Resolve a stuck saga by hand", "sagas", {200: SagaMoved(), 202: SagaUnfinished()},
    body=Resolution(), problems=(*BAD_BODY, 404, 409),
    request_headers=["Prefer"], answer_headers=["Location"], leads_to=MOVES, id_at="/saga/id", need=Scope.OPERATE,
)  # fmt: skip
def resolve(saga_id: UUID) -> Response:
    """Continue as if the stuck step had succeeded, because a person has done its work by hand."""
    resolution = load(Resolution(), json_object())
    moved = services().sagas.resolve(
        saga_id, principal().actor, resolution["reason"], resolution["reply"], preferred_wait_s()
    )
    return _moved(moved, "Saga resolved")


def _definition(name: str) -> Saga:
    try:
        return services().registry.latest(name)
    except UnknownSagaError:
        known = ", ".join(services().registry.names)
        raise InvalidError(("/type", f"Not a type; use one of {known}.")) from None


def _ended(definition: Saga, saga: SagaSnapshot) -> Response:
    """Return the answer to a start, from the state at the last commit."""
    location = saga_url(saga.id)
    if saga.status == Status.COMPENSATED:
        answer = problem_answer(409, "Saga compensated", saga.error or "", saga_id=str(saga.id), state=saga.state)
        return with_location(answer, location, replayed=saga.replayed)
    answer = jsonify(started_json(definition, saga))
    answer.status_code = 201 if saga.status == Status.COMPLETED else 202
    return with_location(answer, location, replayed=saga.replayed)


def _moved(snapshot: SagaSnapshot, message: str) -> Response:
    saga = queries.get(snapshot.id)
    if principal().reaches(Scope.READ, saga.definition, saga.started_by):
        shown = json_with_steps(services().registry, saga, queries.journal(saga.id))
    else:
        shown = short_json(saga)
    unfinished = snapshot.status in UNDER_WAY
    answer = jsonify(message="Saga still running" if unfinished else message, saga=shown)
    answer.status_code = 202 if unfinished else 200
    answer.headers["Location"] = saga_url(saga.id)
    return answer
