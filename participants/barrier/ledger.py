"""The barrier's ledger: one row for each idempotency key that the participant has answered."""

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, BigInteger, Column, DateTime, Integer, Row, String, Table, delete, or_, select, update

from .idempotency_key import IdempotencyKey
from .problem import MEDIA_TYPE
from .rules import Direction, Entry, Recorded, State
from .transactions import insert_new

#: The result of a view behind the barrier: a JSON object (the status is then 200), or a JSON object and a status.
ViewResult = dict[str, Any] | tuple[dict[str, Any], int]


@dataclass(frozen=True, kw_only=True)
class Reply(Recorded):
    """The answer to a call, as a response of Flask."""

    @classmethod
    def of_view(cls, result: ViewResult) -> "Reply":
        """Return the reply of a view. Raise ValueError for an error status: a view must raise Refused."""
        body, status = result if isinstance(result, tuple) else (result, 200)
        if not 200 <= status < 300:  # noqa: PLR2004
            raise ValueError(f"a view behind the barrier answered {status}: it must raise Refused instead")
        return cls(status=status, body=body)

    @classmethod
    def of_recorded(cls, recorded: Recorded) -> "Reply":
        return cls(status=recorded.status, body=recorded.body)

    def response(self, *, replayed: bool = False) -> Response:
        media_type = MEDIA_TYPE if self.status >= 400 else "application/json"  # noqa: PLR2004
        headers = {"Idempotent-Replayed": "true"} if replayed else {}
        return Response(json.dumps(self.body), self.status, headers, content_type=media_type)


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

    def add(self, key: IdempotencyKey, state: State, epoch: int | None, **request: Any) -> bool:
        """Insert the key's row; its reply is recorded later. Return False when the key already has a row."""
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

    def find(self, key: IdempotencyKey) -> Entry | None:
        row = self._session.execute(select(self.table).where(self.table.c.key == str(key))).one_or_none()
        if row is None:
            return None
        reply = None if row.status is None else Recorded(status=row.status, body=row.reply)
        return Entry(state=State(row.state), fingerprint=row.fingerprint, request=row.request, reply=reply)

    def has_other_actions(self, action: IdempotencyKey) -> bool:
        """Return True when the ledger contains another action of this action's saga, done or refused."""
        of_saga = (self.table.c.saga_id == action.saga_id) & (self.table.c.direction == Direction.DO)
        query = select(self.table.c.key).where(of_saga, self.table.c.key != str(action)).limit(1)
        return self._session.execute(query).first() is not None

    def record(self, key: IdempotencyKey, state: State, reply: Recorded) -> None:
        self._change(key, state=state, status=reply.status, reply=reply.body)

    def savepoint(self) -> AbstractContextManager[Any]:
        return self._session.begin_nested()

    def prune(self, *, late_call: timedelta, late_undo: timedelta) -> int:
        """Delete old rows in one statement of the current transaction. Return their number.

        late_call: how long after a call a duplicate of it may still come. late_undo: how long after an action its undo
        may still come, also when a person decides about a saga that was stuck. An undo that comes later is answered
        "never done", and the effect stays. Raise ValueError when late_undo is shorter, or late_call negative.
        """
        if not timedelta() <= late_call <= late_undo:
            raise ValueError("late_call must not be negative, and late_undo must not be shorter than late_call")
        now, table = datetime.now(UTC), self.table
        undoable = (table.c.direction == Direction.DO) & (table.c.state == State.DONE)
        old = or_(table.c.at < now - late_undo, (table.c.at < now - late_call) & ~undoable)
        return self._session.connection().execute(delete(table).where(old)).rowcount

    def mark_undone(self, key: IdempotencyKey) -> None:
        self._change(key, state=State.UNDONE)

    def _change(self, key: IdempotencyKey, **values: Any) -> None:
        self._session.execute(update(self.table).where(self.table.c.key == str(key)).values(**values))

    def entries(self, saga_id: str | None) -> list[dict[str, Any]]:
        """Return the rows of one saga, or all rows, as JSON; the oldest comes first."""
        query = select(self.table).order_by(self.table.c.at, self.table.c.key)
        if saga_id is not None:
            query = query.where(self.table.c.saga_id == saga_id)
        return [_as_json(row) for row in self._session.execute(query)]


def _as_json(row: Row[Any]) -> dict[str, Any]:
    # SQLite returns times without a time zone. All stored times are in UTC.
    at = row.at if row.at.tzinfo else row.at.replace(tzinfo=UTC)
    hidden = {"fingerprint", "at"}
    values = {name: value for name, value in row._mapping.items() if name not in hidden}  # noqa: SLF001 - public
    return {**values, "at": at.astimezone(UTC).isoformat()}
