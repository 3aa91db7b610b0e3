"""What a person does with a message that could not be taken; the audit trail tells it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from app.errors import ConflictError, NotFoundError
from app.services import services
from app.store.audit import Entry
from app.store.database import db
from app.store.instance import Standing
from app.store.parked import Parked


def listed() -> Sequence[Row[Any]]:
    """Give the oldest ones."""
    return Parked(db.engine).listed()


def retry(parked_id: int, actor: str) -> Standing:
    """Begin its saga after all, where what was wrong has been mended here; else it stays where it is."""
    row = _found(parked_id)
    begun = services().events.intake.begin(row.body.encode())
    if begun is None:
        raise ConflictError("its saga runs already; discard it")
    _settle(parked_id, Entry(actor=actor, action="event.retry", saga_id=begun.id, target=_name(parked_id)))
    return begun


def discard(parked_id: int, actor: str, reason: str) -> None:
    """Forget it; the audit trail keeps what it said."""
    row = _found(parked_id)
    said = {"reason": row.reason, "body": row.body}
    _settle(parked_id, Entry(actor=actor, action="event.discard", reason=reason, target=_name(parked_id), before=said))


def _name(parked_id: int) -> str:
    return f"parked/{parked_id}"


def _settle(parked_id: int, entry: Entry) -> None:
    Parked(db.engine).settle(parked_id, entry)


def _found(parked_id: int) -> Row[Any]:
    row = Parked(db.engine).find(parked_id)
    if row is None:
        raise NotFoundError(f"there is no parked message {parked_id}")
    return row
