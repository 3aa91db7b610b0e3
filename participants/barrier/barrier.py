"""The decorators that put a view behind the barrier; see the package's documentation."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from flask import Response, request
from flask_sqlalchemy import SQLAlchemy

from .idempotency_key import IdempotencyKey
from .ledger import Ledger, Reply, ViewResult
from .problem import Problem
from .rules import Direction, Done, Rules
from .transactions import WRITING

P = ParamSpec("P")


class Barrier:
    """The barrier of one database. Its ledger is in the same database, so that effects and ledger commit together."""

    def __init__(self, db: SQLAlchemy) -> None:
        self._session = db.session
        self.ledger = Ledger(db)
        self._rules = Rules(rows=self.ledger, problem=Problem)

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
            key = IdempotencyKey.of_request(Direction.UNDO)
            with self._transaction():
                reply, replayed = self._rules.undo(
                    key, _epoch(), lambda done: Reply.of_view(view(done, *args, **kwargs))
                )
            return Reply.of_recorded(reply).response(replayed=replayed)

        return guarded

    def outcome(self) -> Response:
        """Answer a GET with the recorded answer of the action that has the request's key.

        404 means that the action has not arrived; it can still arrive.
        """
        reply = self._rules.outcome(IdempotencyKey.of_request(Direction.DO))
        return Reply.of_recorded(reply).response(replayed=True)

    def _once(self, view: Callable[P, ViewResult], *, record_refusals: bool) -> Callable[P, Response]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
            key, body = IdempotencyKey.of_request(Direction.DO), json_object()
            with self._transaction():
                reply, replayed = self._rules.do(
                    key, _epoch(), body, _fingerprint(body), lambda: Reply.of_view(view(*args, **kwargs)),
                    record_refusals=record_refusals,
                )  # fmt: skip
            return Reply.of_recorded(reply).response(replayed=replayed)

        return guarded

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._session.begin():
            self._session.connection(execution_options=WRITING)
            yield


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
