"""What was told of a saga, and the messages that nobody could take."""

from uuid import UUID

from flask import Blueprint, Response, jsonify, url_for

from app.access.principal import principal
from app.access.roles import Scope
from app.api.openapi.operation import BAD_BODY, operation
from app.api.request_parsing import reason_given
from app.api.responses import with_location
from app.api.schemas.events import Discarded, EventList, ParkedList, ParkedTaken
from app.errors import NotFoundError
from app.events import dead_letters
from app.events.cloudevent import as_cloudevent
from app.store import queries
from app.store.parked import PARKED_ID
from app.views.validation import Reason

blueprint = Blueprint("events", __name__, url_prefix="/api/v1")


@blueprint.get("/sagas/<uuid:saga_id>/events")
@operation("Show what a saga has told", "events", {200: EventList()}, problems=(404,))
def of_saga(saga_id: UUID) -> Response:
    """Give its events as CloudEvents, in order, whether or not the broker has taken them yet."""
    if queries.find(saga_id) is None:
        raise NotFoundError(f"there is no saga {saga_id}")
    waiting = queries.unpublished(saga_id)
    moves = queries.told(saga_id)
    return jsonify(events=[as_cloudevent(move) | {"published": move.seq not in waiting} for move in moves])


@blueprint.get("/events/parked")
@operation("List messages that could not be taken", "events", {200: ParkedList()})
def parked() -> Response:
    """Give the oldest ones; each waits until it is retried or discarded."""
    shown = [
        {"id": row.id, "at": row.at.isoformat(), "reason": row.reason, "body": row.body}
        for row in dead_letters.oldest()
    ]
    return jsonify(parked=shown)


@blueprint.post(f"/events/parked/{PARKED_ID}/retry")
@operation(
    "Take a parked message after all", "events", {200: ParkedTaken()}, problems=(400, 404, 409), need=Scope.OPERATE
)
def retry(parked_id: int) -> Response:
    """Try it again, after what was wrong has been mended here; it stays where it is when it cannot be taken."""
    begun = dead_letters.retry(parked_id, principal().actor)
    answer = jsonify(message="Event taken", saga_id=str(begun.id))
    return with_location(answer, url_for("sagas.show", saga_id=begun.id), replayed=begun.replayed)


@blueprint.post(f"/events/parked/{PARKED_ID}/discard")
@operation(
    "Discard a parked message", "events", {200: Discarded()}, body=Reason(), body_optional=True,
    problems=(*BAD_BODY, 404), need=Scope.OPERATE,
)  # fmt: skip
def discard(parked_id: int) -> Response:
    """Forget it; the audit trail keeps who did so and why, and what it said."""
    dead_letters.discard(parked_id, principal().actor, reason_given())
    return jsonify(message="Event discarded")
