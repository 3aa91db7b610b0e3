"""Dead letters: incoming messages that were not accepted, kept until a person handles them."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine as Database
from sqlalchemy import Row, Select, Table, delete, func, insert, or_, select

from app.store.audit import Entry, append
from app.store.database import db_now
from app.store.message_models import ParkedRow
from app.store.transactions import atomic

_PARKED: Table = ParkedRow.__table__
LARGEST_PAGE = 200
#: Part of a URL path with the id of a dead letter. The largest id is that of the database's 64-bit column.
PARKED_ID = "<int(max=9223372036854775807):parked_id>"
#: Longest stored reason, in characters.
LONGEST_REASON = 1000
#: Longest stored header of a signature, in characters. A longer one is of no sender in EVENTS_SECRETS.
LONGEST_SIGNATURE = 2000
#: Largest stored body, in bytes.
LARGEST_BODY = 64 * 1024
#: Longest sum of the bodies of one page, in characters. Twelve pages of 200 bodies of 64 KiB, read at once, ended a
#: replica of 448 MB.
LONGEST_TEXT = 1 << 20


def _oldest() -> Select[Any]:
    first = (
        select(_PARKED.c.id, func.length(_PARKED.c.body).label("length"))
        .order_by(_PARKED.c.id)
        .limit(LARGEST_PAGE)
        .subquery()
    )
    before = (func.sum(first.c.length).over(order_by=first.c.id) - first.c.length).label("before")
    page = select(first.c.id, before, first.c.length).subquery()
    fits = or_(page.c.before == 0, page.c.before + page.c.length <= LONGEST_TEXT)
    return select(_PARKED).join(page, page.c.id == _PARKED.c.id).where(fits).order_by(_PARKED.c.id)


_OLDEST = _oldest()


class DeadLetters:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, reason: str, body: bytes, *, tenant: str | None = None, signature: Mapping[str, str] | None = None
    ) -> None:
        """Store a message. If its body is longer than LARGEST_BODY bytes, store the beginning and name the length.

        tenant: whose secret has signed it. signature: the headers of its signature.
        """
        if len(body) > LARGEST_BODY:
            digest = hashlib.sha256(body).hexdigest()
            cut = f" (only the first {LARGEST_BODY} of its {len(body)} bytes are kept; sha256 {digest})"
            reason = reason[: LONGEST_REASON - len(cut)] + cut
        kept = {name: _storable(text)[:LONGEST_SIGNATURE] for name, text in (signature or {}).items()}
        values = {
            "reason": _storable(reason)[:LONGEST_REASON],
            "body": _storable(body[:LARGEST_BODY]),
            "tenant": tenant,
        }
        with self._database.connect() as connection:
            connection.execute(insert(_PARKED).values(at=db_now(), signature=kept or None, **values))

    def oldest(self) -> Sequence[Row[Any]]:
        """Return up to LARGEST_PAGE oldest messages of LONGEST_TEXT characters together, in order of arrival."""
        with self._database.connect() as connection:
            return connection.execute(_OLDEST).all()

    def find(self, parked_id: int) -> Row[Any] | None:
        with self._database.connect() as connection:
            return connection.execute(select(_PARKED).where(_PARKED.c.id == parked_id)).one_or_none()

    def remove(self, parked_id: int, entry: Entry) -> None:
        """Delete a message and append its audit row in one transaction."""
        with atomic(self._database) as connection:
            connection.execute(delete(_PARKED).where(_PARKED.c.id == parked_id))
            append(connection, entry)


def _storable(text: str | bytes) -> str:
    """Return a text that every database can store: NUL and invalid UTF-8 are replaced by U+FFFD."""
    raw = text.encode(errors="replace") if isinstance(text, str) else text
    return raw.decode(errors="replace").replace("\0", "\ufffd")
