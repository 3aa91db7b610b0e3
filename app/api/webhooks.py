"""/api/v1/…/webhooks: the messages about the ends of a saga, and those that were not delivered (dead letters)."""

from uuid import UUID

from flask import Blueprint, Response, jsonify

from app.access.permissions import Scope, keeps_to_tenant
from app.access.principal import principal
from app.api.openapi.operation import BAD_BODY, operation
from app.api.request_parsing import reason_given
from app.api.schemas.webhooks import DeliveryDiscarded, DeliveryDue, DeliveryList
from app.events import webhook_letters
from app.services import services
from app.store import queries
from app.store.deliveries import DELIVERY_ID
from app.views.validation import Reason

blueprint = Blueprint("webhooks", __name__, url_prefix="/api/v1")


@blueprint.get("/sagas/<uuid:saga_id>/webhooks")
@operation("Show the messages about a saga", "webhooks", {200: DeliveryList()}, problems=(404,))
def of_saga(saga_id: UUID) -> Response:
    """Return the messages to webhooks and the calls of at_end= about a saga, the oldest first, with their status."""
    queries.get(saga_id)
    return jsonify(messages=[webhook_letters.as_json(row) for row in services().deliveries.of_saga(saga_id)])


@blueprint.get("/webhooks/dead")
@operation("List the messages that were not delivered", "webhooks", {200: DeliveryList()})
@keeps_to_tenant
def dead() -> Response:
    """Return the oldest dead letters. Each waits until a person sends it again or discards it."""
    return jsonify(messages=[webhook_letters.as_json(row) for row in webhook_letters.dead()])


@blueprint.post(f"/webhooks/{DELIVERY_ID}/redeliver")
@operation(
    "Send a message again", "webhooks", {200: DeliveryDue()}, body=Reason(), body_optional=True,
    problems=(*BAD_BODY, 404, 409), conflict="The message is still to be sent.", need=Scope.OPERATE,
)  # fmt: skip
@keeps_to_tenant
def redeliver(delivery_id: int) -> Response:
    """Send a dead or a delivered message again, with the same id and all of its attempts."""
    found = webhook_letters.redeliver(delivery_id, principal().actor, reason_given())
    return jsonify(message="Message due", id=found.id, webhook=found.webhook)


@blueprint.post(f"/webhooks/{DELIVERY_ID}/discard")
@operation(
    "Discard a message that was not delivered", "webhooks", {200: DeliveryDiscarded()}, body=Reason(),
    body_optional=True, problems=(*BAD_BODY, 404, 409), conflict="The message is no dead letter.", need=Scope.OPERATE,
)  # fmt: skip
@keeps_to_tenant
def discard(delivery_id: int) -> Response:
    """Delete a dead letter. The audit trail keeps its event, its address and its last error."""
    webhook_letters.discard(delivery_id, principal().actor, reason_given())
    return jsonify(message="Message discarded")
