"""/api/v1/participants: the services that the sagas call, their health, and their pauses."""

from flask import Blueprint, Response, jsonify

from app.access.permissions import Scope
from app.access.principal import principal
from app.api.openapi.operation import BAD_BODY, operation
from app.api.request_parsing import reason_given
from app.api.schemas.participants import ParticipantList, ParticipantPaused, ParticipantResumed
from app.services import services
from app.views import participants
from app.views.validation import Reason

blueprint = Blueprint("participants", __name__, url_prefix="/api/v1/participants")


@blueprint.get("")
@operation("List the participants", "participants", {200: ParticipantList()})
def index() -> Response:
    """List the participants with breaker, pause, calls of the last minute, last error, and waiting sagas."""
    found = participants.health(services().registry, services().participant_store)
    return jsonify(participants=[participants.health_json(each) for each in found])


@blueprint.post("/<name>/pause")
@operation(
    "Pause a participant", "participants", {200: ParticipantPaused()}, body=Reason(), body_optional=True,
    problems=(*BAD_BODY, 404, 409), conflict="It is paused already.", need=Scope.OPERATE,
)  # fmt: skip
def pause(name: str) -> Response:
    """Send no calls to a participant until it is resumed. Sagas that need it wait; a deadline still ends."""
    participants.pause(services(), name, principal().actor, reason_given())
    return jsonify(message="Participant paused")


@blueprint.post("/<name>/resume")
@operation(
    "Resume a participant", "participants", {200: ParticipantResumed()}, body=Reason(), body_optional=True,
    problems=(*BAD_BODY, 404, 409), conflict="It is not paused.", need=Scope.OPERATE,
)  # fmt: skip
def resume(name: str) -> Response:
    """Send calls to a participant again. The sagas that waited go on one after another, within `within_s` seconds."""
    due, within_s = participants.resume(services(), name, principal().actor, reason_given())
    return jsonify(message="Participant resumed", sagas_due=due, within_s=round(within_s, 1))
