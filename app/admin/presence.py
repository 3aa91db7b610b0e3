"""Colleagues on the page of a saga. An open page says by itself that it is there; it changes nothing of the saga."""

from uuid import UUID

from flask import Response

from app.access.permissions import Role, by_itself, needs
from app.access.principal import principal
from app.admin.pages import pages
from app.store import presence, queries
from app.store.database import db

blueprint = pages("presence")


@blueprint.post("/admin/sagas/<uuid:saga_id>/presence")
@needs(Role.VIEWER)
@by_itself
def say(saga_id: UUID) -> Response:
    presence.say(db.engine, queries.get(saga_id).id, principal().actor)
    return Response(status=204)
