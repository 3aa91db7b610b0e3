"""Dead letters: incoming messages that were not accepted, kept until a person handles them.

With DATA_KEY, a body is sealed as a whole, with the key of the client that it names: a message that was not understood
can hold any value, and its signature is over every byte.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, delete, func, insert, or_, select
from sqlalchemy import Engine as Database

from app.errors import ConflictError
from app.store.audit import Entry, append
from app.store.data_keys import DataKeys, ErasedError, KeyLostError, Sealer, bound_id
from app.store.database import db_now
from app.store.message_models import ParkedRow
from app.store.transactions import atomic
from app.values import UnreadableError, parsed, written
from machines.registry import Registry
from machines.sealed import GONE, SEALED, is_sealed

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
_BOUND_TO = bound_id("dead letter")
#: Beginning of a sealed body.
_SEALED_BODY = f'{{"{SEALED}":'


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
    def __init__(self, database: Database, keys: DataKeys | None = None) -> None:
        self._database, self._keys = database, keys or DataKeys(database)

    def add(
        self, reason: str, body: bytes, *, tenant: str | None = None, signature: Mapping[str, str] | None = None,
        client: str | None = None,
    ) -> None:  # fmt: skip
        """Store a message. If its body is longer than LARGEST_BODY bytes, store the beginning and name the length.

        tenant: whose secret has signed it. signature: the headers of its signature. client: see `client_of`.
        """
        if len(body) > LARGEST_BODY:
            digest = hashlib.sha256(body).hexdigest()
            cut = f" (only the first {LARGEST_BODY} of its {len(body)} bytes are kept; sha256 {digest})"
            reason = reason[: LONGEST_REASON - len(cut)] + cut
        kept = {name: _storable(text)[:LONGEST_SIGNATURE] for name, text in (signature or {}).items()}
        text, reason = _storable(body[:LARGEST_BODY]), _storable(reason)[:LONGEST_REASON]
        with atomic(self._database) as connection:
            values = {"reason": reason, "body": self._stored(connection, text, tenant, client), "tenant": tenant}
            connection.execute(insert(_PARKED).values(at=db_now(), signature=kept or None, **values))

    def oldest(self) -> Sequence[Row[Any]]:
        """Return up to LARGEST_PAGE oldest messages of LONGEST_TEXT characters together, in order of arrival."""
        with self._database.connect() as connection:
            return connection.execute(_OLDEST).all()

    def find(self, parked_id: int) -> Row[Any] | None:
        with self._database.connect() as connection:
            return connection.execute(select(_PARKED).where(_PARKED.c.id == parked_id)).one_or_none()

    def text_of(self, row: Row[Any]) -> str:
        """Return the text of a message. Raise ConflictError when it was erased, or KeyLostError."""
        body: str = row.body
        if (value := _sealed_in(body)) is None:
            return body
        try:
            text = self._keys.opened(value, _BOUND_TO, reread=True)
        except ErasedError:
            text = GONE
        if text == GONE:
            raise ConflictError("the personal data of its client were erased; discard it")
        return text if isinstance(text, str) else body  # a sender may send such an object

    def _stored(self, connection: Connection, text: str, tenant: str | None, client: str | None) -> str:
        if not self._keys.encrypts:
            return text
        try:
            key = self._keys.provide(connection, tenant, client)
        except KeyLostError:  # of this client: its message must not hold up the messages of others
            key = self._keys.provide(connection, None, None)
        return written(Sealer(key, _BOUND_TO, None).value(text)).decode()

    def remove(self, parked_id: int, entry: Entry) -> None:
        """Delete a message and append its audit row in one transaction."""
        with atomic(self._database) as connection:
            connection.execute(delete(_PARKED).where(_PARKED.c.id == parked_id))
            append(connection, entry)


def client_of(registry: Registry, body: str | bytes) -> str | None:
    """Return the client in the data of an event that starts a saga; None when the message names none."""
    try:
        event = parsed(body.encode() if isinstance(body, str) else body)
    except UnreadableError:
        return None
    kind, data = (event.get("type"), event.get("data")) if isinstance(event, dict) else (None, None)
    saga = registry.started_by_event.get(kind) if isinstance(kind, str) else None
    if saga is None or saga.client is None or not isinstance(data, dict) or data.get(saga.client) is None:
        return None
    return str(data[saga.client])


def _sealed_in(body: str) -> Any:
    """Return the sealed value that a stored body is; None: the body is in clear."""
    if not body.startswith(_SEALED_BODY):
        return None
    try:
        value = parsed(body.encode())
    except UnreadableError:
        return None
    return value if is_sealed(value) else None


def _storable(text: str | bytes) -> str:
    """Return a text that every database can store: NUL and invalid UTF-8 are replaced by U+FFFD."""
    raw = text.encode(errors="replace") if isinstance(text, str) else text
    return raw.decode(errors="replace").replace("\0", "\ufffd")
