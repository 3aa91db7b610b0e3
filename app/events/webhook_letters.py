"""Dead letters of webhooks: list them, send them again, discard them. The audit trail records each action."""

from collections.abc import Sequence
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
    if not services().deliveries.redeliver(delivery_id, _entry("webhook.redeliver", found, actor, reason)):
        raise ConflictError(f"message {delivery_id} is being sent anyway; its next attempt follows by itself")
    return found


def discard(delivery_id: int, actor: str, reason: str) -> None:
    """Delete a dead letter. Raise ConflictError when the message is not a dead letter."""
    found = _found(delivery_id)
    if not services().deliveries.discard(delivery_id, _entry("webhook.discard", found, actor, reason)):
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


def _entry(action: str, delivery: Row[Any], actor: str, reason: str) -> Entry:
    """Return the audit row of an action on a message."""
    before = {"event": delivery.event, "url": delivery.url, "attempts": delivery.attempts, "error": delivery.error}
    target = f"webhook/{delivery.webhook}/{delivery.id}"
    return Entry(actor=actor, action=action, saga_id=delivery.saga_id, target=target, reason=reason, before=before)
