"""The barrier's memory: one row for each idempotency key a participant has answered."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, BigInteger, Column, DateTime, Integer, Row, String, Table, select, update

from participants.database import insert_new
from participants.key import Direction, Key
from participants.reply import Reply


class State(StrEnum):
    DONE = "done"
    REFUSED = "refused"
    #: Done, and then taken back.
    UNDONE = "undone"
    #: Undone before it was done: it must not happen any more.
    TOMBSTONE = "tombstone"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row as it was read. A tombstone has neither request nor fingerprint nor reply."""

    state: State
    fingerprint: str | None
    request: dict[str, Any] | None
    reply: Reply | None


class Ledger:
    def __init__(self, db: SQLAlchemy) -> None:
        self._session = db.session
        self.table = Table(
            "barrier_ledger",
            db.metadata,
            Column("key", String(210), primary_key=True),
            Column("saga_id", String(100), nullable=False, index=True),
            Column("step", String(100), nullable=False),
            Column("direction", String(4), nullable=False),
            Column("state", String(10), nullable=False),
            Column("epoch", BigInteger),
            Column("fingerprint", String(64)),
            Column("request", JSON(none_as_null=True)),
            Column("status", Integer),
            Column("reply", JSON(none_as_null=True)),
            Column("at", DateTime(timezone=True), nullable=False),
        )

    def add(self, key: Key, state: State, epoch: int | None, **request: Any) -> bool:
        """Write the key's row, whose reply is recorded later. False: the key has one already."""
        return insert_new(
            self._session.connection(),
            self.table,
            key=str(key),
            saga_id=key.saga_id,
            step=key.step,
            direction=key.direction,
            state=state,
            epoch=epoch,
            at=datetime.now(UTC),
            **request,
        )

    def read(self, key: Key) -> Entry:
        """Read the row of a key that has one."""
        entry = self.find(key)
        assert entry is not None, f"the row of {key} has gone"
        return entry

    def find(self, key: Key) -> Entry | None:
        row = self._session.execute(select(self.table).where(self.table.c.key == str(key))).one_or_none()
        if row is None:
            return None
        reply = None if row.status is None else Reply(status=row.status, body=row.reply)
        return Entry(state=State(row.state), fingerprint=row.fingerprint, request=row.request, reply=reply)

    def has_other_actions(self, action: Key) -> bool:
        """Return True when the saga of this action did, or was refused, another one here."""
        of_saga = (self.table.c.saga_id == action.saga_id) & (self.table.c.direction == Direction.DO)
        query = select(self.table.c.key).where(of_saga, self.table.c.key != str(action)).limit(1)
        return self._session.execute(query).first() is not None

    def record(self, key: Key, state: State, reply: Reply) -> None:
        self._change(key, state=state, status=reply.status, reply=reply.body)

    def mark_undone(self, key: Key) -> None:
        self._change(key, state=State.UNDONE)

    def _change(self, key: Key, **values: Any) -> None:
        self._session.execute(update(self.table).where(self.table.c.key == str(key)).values(**values))

    def entries(self, saga_id: str | None) -> list[dict[str, Any]]:
        """Give the rows as JSON, oldest first: of one saga, or all."""
        query = select(self.table).order_by(self.table.c.at, self.table.c.key)
        if saga_id is not None:
            query = query.where(self.table.c.saga_id == saga_id)
        return [_as_json(row) for row in self._session.execute(query)]


def _as_json(row: Row[Any]) -> dict[str, Any]:
    # SQLite forgets the time zone it was given.
    at = row.at if row.at.tzinfo else row.at.replace(tzinfo=UTC)
    hidden = {"fingerprint", "at"}
    values = {name: value for name, value in row._mapping.items() if name not in hidden}  # noqa: SLF001 - public
    return {**values, "at": at.astimezone(UTC).isoformat()}
