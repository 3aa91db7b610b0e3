"""What was told of a saga, and the messages that nobody could take."""

from typing import Any, cast
from uuid import UUID

from flask import Blueprint, Response, current_app, jsonify, url_for
from sqlalchemy import Row

from app.access.principal import principal
from app.access.roles import Scope
from app.api.openapi.operation import BAD_BODY, operation
from app.api.parts import pointing
from app.api.reading import Reason, reason_given
from app.errors import ConflictError, NotFoundError
from app.events.cloudevent import as_cloudevent
from app.events.post import Post
from app.events.schemas import Discarded, EventList, ParkedList, ParkedTaken
from app.store import queries
from app.store.audit import Entry
from app.store.database import db
from app.store.parked import Parked

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
    return jsonify(
        parked=[
            {"id": row.id, "at": row.at.isoformat(), "reason": row.reason, "body": row.body}
            for row in _parked().listed()
        ]
    )


@blueprint.post("/events/parked/<int:parked_id>/retry")
@operation(
    "Take a parked message after all", "events", {200: ParkedTaken()}, problems=(400, 404, 409), need=Scope.OPERATE
)
def retry(parked_id: int) -> Response:
    """Try it again, after what was wrong has been mended here; it stays where it is when it cannot be taken."""
    row = _found(parked_id)
    begun = _post().intake.begin(row.body.encode())
    if begun is None:
        raise ConflictError("its saga runs already; discard it")
    _settle(parked_id, "event.retry", saga_id=begun.id)
    answer = jsonify(message="Event taken", saga_id=str(begun.id))
    return pointing(answer, url_for("sagas.show", saga_id=begun.id), replayed=begun.replayed)


@blueprint.post("/events/parked/<int:parked_id>/discard")
@operation(
    "Discard a parked message",
    "events",
    {200: Discarded()},
    body=Reason(),
    body_optional=True,
    problems=(*BAD_BODY, 404),
    need=Scope.OPERATE,
)
def discard(parked_id: int) -> Response:
    """Forget it; the audit trail keeps who did so and why, and what it said."""
    row = _found(parked_id)
    _settle(parked_id, "event.discard", reason=reason_given(), before={"reason": row.reason, "body": row.body})
    return jsonify(message="Event discarded")


def _post() -> Post:
    return cast("Post", current_app.extensions["post"])


def _parked() -> Parked:
    return Parked(db.engine)


def _settle(parked_id: int, action: str, **told: Any) -> None:
    _parked().settle(parked_id, Entry(actor=principal().actor, action=action, target=f"parked/{parked_id}", **told))


def _found(parked_id: int) -> Row[tuple[object, ...]]:
    row = _parked().find(parked_id)
    if row is None:
        raise NotFoundError(f"there is no parked message {parked_id}")
    return row
