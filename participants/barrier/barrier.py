"""The decorators that put a view behind the barrier; see the package's documentation."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from flask import Response, request
from flask_sqlalchemy import SQLAlchemy

from .idempotency_key import Direction, IdempotencyKey
from .ledger import Ledger, Reply, State, ViewResult
from .problem import Problem, Refused
from .transactions import WRITING

P = ParamSpec("P")

_NEVER_DONE = Reply(status=200, body={"undone": False, "reason": "never done"})
_WAS_REFUSED = Reply(status=200, body={"undone": False, "reason": "was refused"})


@dataclass(frozen=True, kw_only=True)
class Done:
    """The recorded request and reply of an action that was done."""

    request: dict[str, Any]
    reply: dict[str, Any]


class Barrier:
    """The barrier of one database. Its ledger is in the same database, so that effects and ledger commit together."""

    def __init__(self, db: SQLAlchemy) -> None:
        self._session = db.session
        self.ledger = Ledger(db)

    def do(self, view: Callable[P, ViewResult]) -> Callable[P, Response]:
        """Put a view that does an action behind the barrier. A refusal is recorded."""
        return self._once(view, record_refusals=True)

    def retriable(self, view: Callable[P, ViewResult]) -> Callable[P, Response]:
        """Put a view that does a retriable action behind the barrier. A refusal is not recorded."""
        return self._once(view, record_refusals=False)

    def undo(self, view: Callable[Concatenate[Done, P], ViewResult]) -> Callable[P, Response]:
        """Put a view that undoes an action behind the barrier.

        The payload of an undo is ignored, so duplicates of an undo can have different payloads.
        """

        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
            key, epoch = IdempotencyKey.of_request(Direction.UNDO), _epoch()
            with self._transaction():
                if not self.ledger.add(key, State.DONE, epoch):
                    return self._replay(key)
                reply = self._undo(key.of_action, epoch, lambda done: view(done, *args, **kwargs))
                self.ledger.record(key, State.DONE, reply)
            return reply.response()

        return guarded

    def outcome(self) -> Response:
        """Answer a GET with the recorded answer of the action that has the request's key.

        404 means that the action has not arrived; it can still arrive.
        """
        key = IdempotencyKey.of_request(Direction.DO)
        entry = self.ledger.find(key)
        if entry is None:
            raise Problem(404, "Not done", f"{key} has not been done")
        if entry.state in {State.TOMBSTONE, State.UNDONE}:
            raise _undone_problem(key)
        return self._replay(key)

    def _once(self, view: Callable[P, ViewResult], *, record_refusals: bool) -> Callable[P, Response]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
            key, epoch, body = IdempotencyKey.of_request(Direction.DO), _epoch(), json_object()
            fingerprint = _fingerprint(body)
            with self._transaction():
                if not self.ledger.add(key, State.DONE, epoch, request=body, fingerprint=fingerprint):
                    return self._repeated(key, fingerprint)
                state = State.DONE
                try:
                    # A savepoint: a refusal rolls back the changes of the view and keeps the row of the ledger.
                    with self._session.begin_nested():
                        reply = Reply.of_view(view(*args, **kwargs))
                except Refused as refusal:
                    if not record_refusals:
                        raise
                    state, reply = State.REFUSED, Reply.of_refusal(refusal)
                self.ledger.record(key, state, reply)
            return reply.response()

        return guarded

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._session.begin():
            self._session.connection(execution_options=WRITING)
            yield

    def _repeated(self, key: IdempotencyKey, fingerprint: str) -> Response:
        entry = self.ledger.read(key)
        if entry.state in {State.TOMBSTONE, State.UNDONE}:
            raise _undone_problem(key)
        if entry.fingerprint != fingerprint:
            raise Problem(422, "Idempotency key reused", f"{key} came with another request before")
        return self._replay(key)

    def _replay(self, key: IdempotencyKey) -> Response:
        reply = self.ledger.read(key).reply
        assert reply is not None, f"the view of {key} has committed by itself"
        return reply.response(replayed=True)

    def _undo(self, action: IdempotencyKey, epoch: int | None, view: Callable[[Done], ViewResult]) -> Reply:
        if self.ledger.add(action, State.TOMBSTONE, epoch):
            return _NEVER_DONE
        # The action's row needs no lock: only its undo changes the row. Two calls of that undo never run at the same
        # time, because the second one waits for the first one's ledger row.
        entry = self.ledger.read(action)
        if entry.state is State.REFUSED:
            return _WAS_REFUSED
        assert entry.request is not None
        assert entry.reply is not None, f"the view of {action} has committed by itself"
        reply = Reply.of_view(view(Done(request=entry.request, reply=entry.reply.body)))
        self.ledger.mark_undone(action)
        return reply


def _undone_problem(key: IdempotencyKey) -> Problem:
    return Problem(410, "Undone", f"{key} has been undone and will not be done any more")


def _epoch() -> int | None:
    """Return the epoch of the call. It is only recorded; the key identifies the call."""
    return request.headers.get("Saga-Epoch", type=int)


def _fingerprint(body: dict[str, Any]) -> str:
    """Return a digest of path and body. The path is included, because it can name the client."""
    text = f"{request.method} {request.full_path}\n{_canonical(body)}"
    return hashlib.sha256(text.encode()).hexdigest()


def json_object() -> dict[str, Any]:
    """Return the body of the request; an empty body counts as an empty object."""
    if not request.get_data():
        return {}
    try:
        body = request.get_json(force=True, silent=True)
    except RecursionError:
        raise Problem(400, "Invalid body", "The body is nested too deeply") from None
    if not isinstance(body, dict):
        raise Problem(400, "Invalid body", "The body must be a JSON object")
    return body


def _canonical(body: dict[str, Any]) -> str:
    """Return the body as text; equal bodies give equal texts."""
    try:
        return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError:
        raise Problem(400, "Invalid body", "NaN and infinity are no JSON") from None
