"""Messages that came in and could not be taken, kept until a person has seen to them."""

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


class Parked:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, reason: str, body: bytes) -> None:
        text = body.decode(errors="replace").replace("\0", "\ufffd")
        with self._engine.connect() as connection:
            connection.execute(insert(_PARKED).values(at=db_now(), reason=reason, body=text))

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
