"""Dead letters of webhooks: list them, send them again, discard them. The audit trail records each action."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row

from app.errors import ConflictError, NotFoundError
from app.services import services
from app.store.audit import Entry


def dead() -> Sequence[Row[Any]]:
    """Return the oldest dead letters."""
    return services().deliveries.dead()


def redeliver(delivery_id: int, actor: str, reason: str) -> Row[Any]:
    """Send a dead or a delivered message again, with the same id. Raise ConflictError if it is still pending."""
    found = _found(delivery_id)
    entry = Entry(
        actor=actor, action="webhook.redeliver", saga_id=found.saga_id, target=_name(found), reason=reason,
        before=_state(found),
    )  # fmt: skip
    if not services().deliveries.redeliver(delivery_id, entry):
        raise ConflictError(f"message {delivery_id} is being sent anyway; its next attempt follows by itself")
    return found


def discard(delivery_id: int, actor: str, reason: str) -> None:
    """Delete a dead letter. Raise ConflictError when the message is not a dead letter."""
    found = _found(delivery_id)
    entry = Entry(
        actor=actor, action="webhook.discard", saga_id=found.saga_id, target=_name(found), reason=reason,
        before=_state(found),
    )  # fmt: skip
    if not services().deliveries.discard(delivery_id, entry):
        raise ConflictError(f"message {delivery_id} is no dead letter, so it is not discarded")


def status_of(delivery: Row[Any]) -> str:
    """Return delivered, pending or dead."""
    return "delivered" if delivery.delivered_at else "pending" if delivery.due_at else "dead"


def as_json(delivery: Row[Any]) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "webhook": delivery.webhook,
        "url": delivery.url,
        "saga_id": str(delivery.saga_id),
        "event": delivery.event,
        "status": status_of(delivery),
        "at": delivery.at.isoformat(),
        "attempts": delivery.attempts,
        "error": delivery.error,
    }


def _found(delivery_id: int) -> Row[Any]:
    found = services().deliveries.find(delivery_id)
    if found is None:
        raise NotFoundError(f"there is no message {delivery_id} to a webhook")
    return found


def _name(delivery: Row[Any]) -> str:
    return f"webhook/{delivery.webhook}/{delivery.id}"


def _state(delivery: Row[Any]) -> Mapping[str, Any]:
    return {"event": delivery.event, "url": delivery.url, "attempts": delivery.attempts, "error": delivery.error}
