"""The message to a webhook: a CloudEvent about the end of a saga, signed as Standard Webhooks describes."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Row

from app.events.cloudevent import CONTENT_TYPE, as_cloudevent
from app.events.signatures import signature_headers
from machines.history import cause_of, replies
from machines.registry import Registry, UnknownSagaError
from machines.statuses import Status


def event_of(delivery: Row[Any], move: Row[Any], journal: Sequence[Row[Any]], registry: Registry) -> dict[str, Any]:
    """Return the event of a move. Each attempt has the same event, because a journal never changes.

    journal: the saga's journal up to the move. The event has "***" for each secret value.
    """
    reason = _reason(delivery.event, move, journal, registry)
    shown = SimpleNamespace(**{**move._mapping, "reason": reason, "event": f"saga.{delivery.event}"})  # noqa: SLF001  documented by SQLAlchemy
    event = as_cloudevent(shown, registry.secrets_of(move.definition), replies(journal))
    event["data"] = {"status": delivery.event} | event["data"]
    # The outbox may publish another event of the same move. The status in this id keeps the two ids different.
    return event | {"id": f"{event['id']}/{delivery.event}"}


def signed_headers(event_id: str, body: bytes, keys: Sequence[bytes], now: float) -> Mapping[str, str]:
    """Return the headers of a message, with one signature for each key. now: seconds since 1970."""
    return {"Content-Type": CONTENT_TYPE, **signature_headers(event_id, body, keys, now)}


def _reason(event: str, move: Row[Any], journal: Sequence[Row[Any]], registry: Registry) -> str | None:
    """Return why a saga is stuck or was compensated; None when it has completed, or its table is gone."""
    reason: str | None = move.reason
    if event == Status.COMPENSATED:
        with suppress(UnknownSagaError):
            reason = cause_of(registry.get(move.definition, move.definition_version), journal)
    return reason
