"""The barrier for any web framework, on a PostgreSQL connection of psycopg 2 or 3 (DB-API 2).

It works inside a transaction that the caller begins and commits. An exception must roll the transaction back; a
`Problem` is then the answer. Plain SQLAlchemy (FastAPI, Starlette, a WSGI application):

    with engine.begin() as connection:
        barrier = Barrier(connection.connection.cursor())
        answer = barrier.do(headers, "POST /points", body, lambda: give_points(connection, body))

Django, with the same call:

    with transaction.atomic(), django.db.connection.cursor() as cursor:
        answer = Barrier(cursor).do(request.headers, f"{request.method} {request.get_full_path()}", body, act)

`create` makes the table; Django runs it in a migration: `RunSQL(CREATE)`.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from .rules import Direction, Done, Entry, Key, Recorded, Refusal, Rules, State

CREATE = """
CREATE TABLE IF NOT EXISTS barrier_ledger (
    key varchar(210) PRIMARY KEY, saga_id varchar(100) NOT NULL, step varchar(100) NOT NULL,
    direction varchar(4) NOT NULL, state varchar(10) NOT NULL, epoch bigint, fingerprint varchar(64), request json,
    status integer, reply json, at timestamptz NOT NULL
)"""
_ADD = """
INSERT INTO barrier_ledger (key, saga_id, step, direction, state, epoch, fingerprint, request, at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, clock_timestamp()) ON CONFLICT DO NOTHING"""
_FIND = "SELECT state, fingerprint, request::text, status, reply::text FROM barrier_ledger WHERE key = %s"
_RECORD = "UPDATE barrier_ledger SET state = %s, status = %s, reply = %s WHERE key = %s"
_MARK_UNDONE = "UPDATE barrier_ledger SET state = 'undone' WHERE key = %s"
_PRUNE = """
DELETE FROM barrier_ledger
WHERE at < clock_timestamp() - %s OR (at < clock_timestamp() - %s AND NOT (direction = 'do' AND state = 'done'))"""


class Cursor(Protocol):
    """A cursor of DB-API 2."""

    @property
    def rowcount(self) -> int: ...

    def execute(self, statement: str, parameters: Any = ..., /) -> Any: ...

    def fetchone(self) -> Any: ...


class Problem(Exception):  # noqa: N818  it is an answer, as in problem+json
    """An answer that ends the call: send `status` and `document` as application/problem+json."""

    def __init__(self, status: int, title: str, detail: str = "") -> None:
        super().__init__(detail)
        kind = f"urn:problem:{title.lower().replace(' ', '-')}"
        self.status = status
        self.document = {"type": kind, "title": title, "status": status, "detail": detail}


class Refused(Problem, Refusal):
    """A refusal for a business reason. The action raises it; the call has then changed nothing."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to a call: send `body` as JSON with `status`."""

    status: int
    body: dict[str, Any]
    #: True when the answer was recorded before; send `Idempotent-Replayed: true`.
    replayed: bool


class Barrier:
    """The barrier in the transaction of one cursor. headers: any mapping with the header Idempotency-Key."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._rules = Rules(rows=_Rows(cursor), problem=Problem)

    def do(
        self, headers: Mapping[str, str], path: str, body: dict[str, Any],
        act: Callable[[], tuple[int, dict[str, Any]]], *, record_refusals: bool = True,
    ) -> Answer:  # fmt: skip
        """Do an action once. path: method and path, which are part of the request. act: returns status and body.

        record_refusals: False for a retriable action, whose caller must succeed in the end.
        """
        text = f"{path}\n{json.dumps(body, sort_keys=True, separators=(',', ':'))}"
        fingerprint, key = hashlib.sha256(text.encode()).hexdigest(), _key(headers, Direction.DO)
        recorded, replayed = self._rules.do(
            key, _epoch(headers), body, fingerprint, lambda: _recorded(act()), record_refusals=record_refusals
        )
        return Answer(status=recorded.status, body=recorded.body, replayed=replayed)

    def undo(self, headers: Mapping[str, str], act: Callable[[Done], tuple[int, dict[str, Any]]]) -> Answer:
        """Undo an action once. act: gets the recorded request and reply of the action."""
        key = _key(headers, Direction.UNDO)
        recorded, replayed = self._rules.undo(key, _epoch(headers), lambda done: _recorded(act(done)))
        return Answer(status=recorded.status, body=recorded.body, replayed=replayed)

    def outcome(self, headers: Mapping[str, str]) -> Answer:
        """Return the recorded answer of the action with the request's key. Raise Problem 404 when it has not come."""
        recorded = self._rules.outcome(_key(headers, Direction.DO))
        return Answer(status=recorded.status, body=recorded.body, replayed=True)

    def prune(self, *, late_call: timedelta, late_undo: timedelta) -> int:
        """Delete old rows and return their number. For the arguments see `Ledger.prune`."""
        if not timedelta() <= late_call <= late_undo:
            raise ValueError("late_call must not be negative, and late_undo must not be shorter than late_call")
        self._cursor.execute(_PRUNE, (late_undo, late_call))
        return self._cursor.rowcount


class _Rows:
    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def add(self, key: Key, state: State, epoch: int | None, **request: Any) -> bool:
        body = json.dumps(request["request"]) if "request" in request else None
        values = (str(key), key.saga_id, key.step, key.direction.value, state.value, epoch)
        self._cursor.execute(_ADD, (*values, request.get("fingerprint"), body))
        return self._cursor.rowcount == 1

    def find(self, key: Key) -> Entry | None:
        self._cursor.execute(_FIND, (str(key),))
        row = self._cursor.fetchone()
        if row is None:
            return None
        state, fingerprint, request, status, reply = row
        return Entry(
            state=State(state),
            fingerprint=fingerprint,
            request=None if request is None else json.loads(request),
            reply=None if status is None else Recorded(status=status, body=json.loads(reply)),
        )

    def record(self, key: Key, state: State, reply: Recorded) -> None:
        self._cursor.execute(_RECORD, (state.value, reply.status, json.dumps(reply.body), str(key)))

    def mark_undone(self, key: Key) -> None:
        self._cursor.execute(_MARK_UNDONE, (str(key),))

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        self._cursor.execute("SAVEPOINT barrier")
        try:
            yield
        except Exception:
            self._cursor.execute("ROLLBACK TO SAVEPOINT barrier")
            raise
        self._cursor.execute("RELEASE SAVEPOINT barrier")


def _recorded(result: tuple[int, dict[str, Any]]) -> Recorded:
    status, body = result
    if not 200 <= status < 300:  # noqa: PLR2004
        raise ValueError(f"an action behind the barrier answered {status}: it must raise Refused instead")
    return Recorded(status=status, body=body)


def _key(headers: Mapping[str, str], direction: Direction) -> Key:
    found = Key.parse(headers.get("Idempotency-Key") or "", direction)
    if found is None:
        raise Problem(400, "Bad idempotency key", f"Idempotency-Key must be <saga id>/<step>/{direction}")
    return found


def _epoch(headers: Mapping[str, str]) -> int | None:
    """Return the epoch of the call. It is only recorded; the key identifies the call."""
    text = headers.get("Saga-Epoch") or ""
    return int(text) if text.isdecimal() and len(text) < 19 else None  # noqa: PLR2004  a bigint has 19 digits
