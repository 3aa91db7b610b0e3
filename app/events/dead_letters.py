"""Dead letters: list them, retry them, discard them. The audit trail records every retry and every discard."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from app.errors import ConflictError, NotFoundError
from app.events.shown_messages import shown_body
from app.events.signatures import UNSIGNED
from app.services import services
from app.store.audit import Entry
from app.store.data_keys import KeyLostError
from app.store.database import db
from app.store.dead_letters import DeadLetters
from app.store.instance import SagaSnapshot
from machines.references import MASKED


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A dead letter as people may see it."""

    id: int
    #: Time at which the message arrived.
    at: datetime
    #: Why the message was not accepted.
    reason: str
    #: Text of the message, without secret values.
    body: str


def oldest() -> Sequence[DeadLetter]:
    """Return the oldest dead letters."""
    letters = _letters()
    return [DeadLetter(id=row.id, at=row.at, reason=row.reason, body=_shown(letters, row)) for row in letters.oldest()]


def retry(parked_id: int, actor: str) -> SagaSnapshot:
    """Start the saga of a dead letter, or send its signal. The dead letter stays when that is not possible."""
    row = _found(parked_id)
    started = services().events.intake.accept(_letters().text_of(row).encode(), row.signature or UNSIGNED).saga
    if started is None:
        raise ConflictError("its saga runs already; discard it")
    _settle(parked_id, Entry(actor=actor, action="event.retry", saga_id=started.id, target=_name(parked_id)))
    return started


def discard(parked_id: int, actor: str, reason: str) -> None:
    """Delete a dead letter; the audit trail keeps its text."""
    row = _found(parked_id)
    text = {"reason": row.reason, "body": _shown(_letters(), row)}
    _settle(parked_id, Entry(actor=actor, action="event.discard", reason=reason, target=_name(parked_id), before=text))


def _letters() -> DeadLetters:
    return DeadLetters(db.engine, services().data_keys)


def _shown(letters: DeadLetters, row: Row[Any]) -> str:
    try:
        return shown_body(services().registry, letters.text_of(row))
    except (ConflictError, KeyLostError):
        return MASKED


def _name(parked_id: int) -> str:
    return f"parked/{parked_id}"


def _settle(parked_id: int, entry: Entry) -> None:
    _letters().remove(parked_id, entry)


def _found(parked_id: int) -> Row[Any]:
    row = _letters().find(parked_id)
    if row is None:
        raise NotFoundError(f"there is no parked message {parked_id}")
    return row
