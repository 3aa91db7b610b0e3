"""/api/v1/clients/<client>: erase the personal data of one client."""

from flask import Blueprint, Response, jsonify

from app.access.permissions import Role
from app.access.principal import principal
from app.api.openapi.operation import BAD_BODY, operation
from app.api.request_parsing import json_object
from app.api.schemas.clients import Forgetting, Forgotten
from app.services import services
from app.views.validation import load

blueprint = Blueprint("clients", __name__, url_prefix="/api/v1/clients")


@blueprint.post("/<client>/forget")
@operation(
    "Erase the data of a client", "clients", {200: Forgotten()}, body=Forgetting(), problems=(*BAD_BODY, 403, 409),
    conflict="A saga of the client has not ended, or a schedule starts sagas of it.", need=Role.ADMIN,
)  # fmt: skip
def forget(client: str) -> Response:
    """Drop the key of a client: its secret and personal values are unreadable for ever. A repetition is harmless."""
    body = load(Forgetting(), json_object())
    found = services().erasure.erase(client, body["tenant"], principal().actor, body["reason"])
    return jsonify(found.as_json())
