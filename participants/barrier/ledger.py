"""The barrier's ledger: one row for each idempotency key that the participant has answered."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from flask import Response
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, BigInteger, Column, DateTime, Integer, Row, String, Table, select, update

from .idempotency_key import Direction, IdempotencyKey
from .problem import MEDIA_TYPE, Refused
from .transactions import insert_new

#: The result of a view behind the barrier: a JSON object (the status is then 200), or a JSON object and a status.
ViewResult = dict[str, Any] | tuple[dict[str, Any], int]


class State(StrEnum):
    DONE = "done"
    REFUSED = "refused"
    #: The action was done and then undone.
    UNDONE = "undone"
    #: The undo arrived before the action. The action is refused when it arrives.
    TOMBSTONE = "tombstone"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The answer to a call. It is kept in the ledger, so that a repeated call gets the same answer."""

    status: int
    body: dict[str, Any]

    @classmethod
    def of_view(cls, result: ViewResult) -> "Reply":
        """Return the reply of a view. Raise ValueError for an error status: a view must raise Refused."""
        body, status = result if isinstance(result, tuple) else (result, 200)
        if not 200 <= status < 300:  # noqa: PLR2004
            raise ValueError(f"a view behind the barrier answered {status}: it must raise Refused instead")
        return cls(status=status, body=body)

    @classmethod
    def of_refusal(cls, refusal: Refused) -> "Reply":
        return cls(status=refusal.status, body=refusal.document)

    def response(self, *, replayed: bool = False) -> Response:
        media_type = MEDIA_TYPE if self.status >= 400 else "application/json"  # noqa: PLR2004
        headers = {"Idempotent-Replayed": "true"} if replayed else {}
        return Response(json.dumps(self.body), self.status, headers, content_type=media_type)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row of the ledger. A tombstone has no request, no fingerprint and no reply."""

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

    def read(self, key: IdempotencyKey) -> Entry:
        """Return the row of a key. The row must exist."""
        entry = self.find(key)
        assert entry is not None, f"the row of {key} has gone"
        return entry

    def find(self, key: IdempotencyKey) -> Entry | None:
        row = self._session.execute(select(self.table).where(self.table.c.key == str(key))).one_or_none()
        if row is None:
            return None
        reply = None if row.status is None else Reply(status=row.status, body=row.reply)
        return Entry(state=State(row.state), fingerprint=row.fingerprint, request=row.request, reply=reply)

    def has_other_actions(self, action: IdempotencyKey) -> bool:
        """Return True when the ledger contains another action of this action's saga, done or refused."""
        of_saga = (self.table.c.saga_id == action.saga_id) & (self.table.c.direction == Direction.DO)
        query = select(self.table.c.key).where(of_saga, self.table.c.key != str(action)).limit(1)
        return self._session.execute(query).first() is not None

    def record(self, key: IdempotencyKey, state: State, reply: Reply) -> None:
        self._change(key, state=state, status=reply.status, reply=reply.body)

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
