"""/api/v1/…/events: the events of a saga, and the dead letters."""

from uuid import UUID

from flask import Blueprint, Response, jsonify

from app.access.permissions import Scope, keeps_to_tenant
from app.access.principal import principal
from app.api.openapi.operation import BAD_BODY, operation
from app.api.request_parsing import reason_given
from app.api.responses import saga_url, with_location
from app.api.schemas.events import Discarded, EventList, ParkedList, ParkedTaken
from app.events import dead_letters
from app.events.cloudevent import NO_REPLIES, as_cloudevent
from app.services import services
from app.store import queries
from app.store.dead_letters import PARKED_ID
from app.views.validation import Reason
from machines.history import replies

blueprint = Blueprint("events", __name__, url_prefix="/api/v1")


@blueprint.get("/sagas/<uuid:saga_id>/events")
@operation("Show the events of a saga", "events", {200: EventList()}, problems=(404,))
def of_saga(saga_id: UUID) -> Response:
    """Return the events of a saga as CloudEvents, the oldest first, including events that no broker has confirmed."""
    saga = queries.get(saga_id)
    waiting = queries.unpublished(saga_id)
    secrets = services().registry.secrets_of(saga.definition)
    kept = NO_REPLIES if secrets is None else replies(queries.journal(saga_id))
    events = [
        as_cloudevent(move, secrets, kept) | {"published": move.seq not in waiting}
        for move in queries.published_moves(saga_id)
    ]
    return jsonify(events=events)


@blueprint.get("/events/parked")
@operation("List the dead letters", "events", {200: ParkedList()})
@keeps_to_tenant
def parked() -> Response:
    """Return the oldest dead letters. Each waits until a person retries or discards it."""
    shown = [
        {"id": row.id, "at": row.at.isoformat(), "reason": row.reason, "body": row.body}
        for row in dead_letters.oldest()
    ]
    return jsonify(parked=shown)


@blueprint.post(f"/events/parked/{PARKED_ID}/retry")
@operation("Retry a dead letter", "events", {200: ParkedTaken()}, problems=(400, 404, 409), need=Scope.OPERATE)
@keeps_to_tenant
def retry(parked_id: int) -> Response:
    """Start the saga of a dead letter, after a person has corrected the cause of the failure.

    The dead letter stays when its message is still unusable.
    """
    started = dead_letters.retry(parked_id, principal().actor)
    answer = jsonify(message="Event taken", saga_id=str(started.id))
    return with_location(answer, saga_url(started.id), replayed=started.replayed)


@blueprint.post(f"/events/parked/{PARKED_ID}/discard")
@operation(
    "Discard a dead letter", "events", {200: Discarded()}, body=Reason(), body_optional=True,
    problems=(*BAD_BODY, 404), need=Scope.OPERATE,
)  # fmt: skip
@keeps_to_tenant
def discard(parked_id: int) -> Response:
    """Delete a dead letter. The audit trail keeps the person, the reason and the text of the message."""
    dead_letters.discard(parked_id, principal().actor, reason_given())
    return jsonify(message="Event discarded")
