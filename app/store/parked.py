"""Messages that came in and could not be taken, kept until a person has seen to them."""

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, Row, Table, delete, insert, select

from app.store.atomic import atomic
from app.store.audit import Entry, append
from app.store.database import db_now
from app.store.models import ParkedRow

_PARKED: Table = ParkedRow.__table__
LARGEST_PAGE = 200
#: As a part of a path: no id is larger, for none can be stored.
PARKED_ID = "<int(max=9223372036854775807):parked_id>"
#: In characters.
LONGEST_REASON = 1000
#: In bytes. A page of 200 parked messages must fit into the memory of a small process.
LARGEST_BODY = 64 * 1024


class Parked:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, reason: str, body: bytes) -> None:
        """Keep a message, as far as LARGEST_BODY; of a longer one the reason says how long it was."""
        if len(body) > LARGEST_BODY:
            digest = hashlib.sha256(body).hexdigest()
            cut = f" (only the first {LARGEST_BODY} of its {len(body)} bytes are kept; sha256 {digest})"
            reason = reason[: LONGEST_REASON - len(cut)] + cut
        values = {"reason": _storable(reason)[:LONGEST_REASON], "body": _storable(body[:LARGEST_BODY])}
        with self._engine.connect() as connection:
            connection.execute(insert(_PARKED).values(at=db_now(), **values))

    def listed(self) -> Sequence[Row[Any]]:
        """Give the oldest ones, first come first."""
        with self._engine.connect() as connection:
            return connection.execute(select(_PARKED).order_by(_PARKED.c.id).limit(LARGEST_PAGE)).all()

    def find(self, parked_id: int) -> Row[Any] | None:
        with self._engine.connect() as connection:
            return connection.execute(select(_PARKED).where(_PARKED.c.id == parked_id)).one_or_none()

    def settle(self, parked_id: int, entry: Entry) -> None:
        """Take it out, and tell in the audit trail who did so, or neither."""
        with atomic(self._engine) as connection:
            connection.execute(delete(_PARKED).where(_PARKED.c.id == parked_id))
            append(connection, entry)


def _storable(text: str | bytes) -> str:
    """Return a text that every database takes: no NUL, nothing that is not UTF-8."""
    raw = text.encode(errors="replace") if isinstance(text, str) else text
    return raw.decode(errors="replace").replace("\0", "\ufffd")
