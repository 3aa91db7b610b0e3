"""The barrier: what a participant of a saga needs so that lost, repeated and overtaking calls do no harm.

The orchestrator sends with each effectful call the header `Idempotency-Key: <saga id>/<step>/<do|undo>`. The barrier
runs the view inside a transaction of its own, together with a row of its ledger, so that:

- the same key gets the same answer again (`Idempotent-Replayed: true`), and has its effect once;
- an undo of what never happened is accepted and remembered: what it should have undone is refused later (410);
- an undo gets what its action really did, never what the undo's own payload claims;
- a refusal changes nothing and is remembered as well: else a delayed duplicate could still take effect after the
  orchestrator has been told no. `retriable` views do not remember it: their caller must go forward in the end;
- a crash changes nothing and is not remembered, so the call can simply be sent again.

It is right because the ledger's row is inserted first: whoever comes second with the same key waits in that INSERT
for the first to end, on SQLite as on PostgreSQL (READ COMMITTED). A whole participant:

    db = SQLAlchemy()
    barrier = Barrier(db)                       # adds the table barrier_ledger to db.metadata
    routes = Blueprint("loyalty", __name__)

    @routes.post("/points")
    @barrier.do
    def give_points():
        points = request.get_json()["points"]
        if points > 1000:
            raise Refused(409, "Too many points", f"{points} points were asked, 1000 is the most")
        gift = Gift(points=points)
        db.session.add(gift)
        db.session.flush()
        return {"gift_id": gift.id}, 201        # or just a dict, for 200

    @routes.post("/points/undo")
    @barrier.undo
    def take_points_back(done: Done):           # arguments of the path follow
        db.session.delete(db.session.get(Gift, done.reply["gift_id"]))
        return {}

    @routes.post("/letter")
    @barrier.retriable
    def send_letter(): ...

    routes.get("/points/outcome")(barrier.outcome)   # what became of a call whose reply was lost

The view must use `db.session` and must neither commit nor roll back; nothing may use the session before the barrier
does, in a `before_request` say. Only `Refused` is a refusal: anything else it raises, `abort(409)` too, is a crash.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from flask import Response, request
from flask_sqlalchemy import SQLAlchemy

from participants.database import WRITING
from participants.key import Direction, Key
from participants.ledger import Ledger, State
from participants.problem import Problem, Refused
from participants.reply import Reply, ViewResult
from participants.wire import canonical, json_object

__all__ = ["Barrier", "Done", "Refused"]

P = ParamSpec("P")

_NEVER_DONE = Reply(status=200, body={"undone": False, "reason": "never done"})
_WAS_REFUSED = Reply(status=200, body={"undone": False, "reason": "was refused"})


@dataclass(frozen=True, kw_only=True)
class Done:
    """What an action was asked, and what it answered when it was done."""

    request: dict[str, Any]
    reply: dict[str, Any]


class Barrier:
    """One for each database: its ledger must commit with the business rows."""

    def __init__(self, db: SQLAlchemy) -> None:
        self._session = db.session
        self.ledger = Ledger(db)

    def do(self, view: Callable[P, ViewResult]) -> Callable[P, Response]:
        return self._once(view, remembers_refusals=True)

    def retriable(self, view: Callable[P, ViewResult]) -> Callable[P, Response]:
        return self._once(view, remembers_refusals=False)

    def undo(self, view: Callable[Concatenate[Done, P], ViewResult]) -> Callable[P, Response]:
        """Nobody looks at an undo's payload, so unlike an action's it may differ from one duplicate to the next."""

        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
            key, epoch = Key.of_request(Direction.UNDO), _epoch()
            with self._transaction():
                if not self.ledger.add(key, State.DONE, epoch):
                    return self._said_before(key)
                reply = self._undone(key.of_action, epoch, lambda done: view(done, *args, **kwargs))
                self.ledger.record(key, State.DONE, reply)
            return reply.response()

        return guarded

    def outcome(self) -> Response:
        """View of a GET: answer as the action of this key did. 404: it has not come, but may still be on its way."""
        key = Key.of_request(Direction.DO)
        entry = self.ledger.find(key)
        if entry is None:
            raise Problem(404, "Not done", f"{key} has not been done")
        if entry.state in {State.TOMBSTONE, State.UNDONE}:
            raise _undone(key)
        return self._said_before(key)

    def _once(self, view: Callable[P, ViewResult], *, remembers_refusals: bool) -> Callable[P, Response]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
            key, epoch, body = Key.of_request(Direction.DO), _epoch(), json_object()
            fingerprint = _fingerprint(body)
            with self._transaction():
                if not self.ledger.add(key, State.DONE, epoch, request=body, fingerprint=fingerprint):
                    return self._answered_before(key, fingerprint)
                state = State.DONE
                try:
                    # A savepoint: a refusal takes the view's changes back and leaves the ledger's row.
                    with self._session.begin_nested():
                        reply = Reply.of_view(view(*args, **kwargs))
                except Refused as refusal:
                    if not remembers_refusals:
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

    def _answered_before(self, key: Key, fingerprint: str) -> Response:
        entry = self.ledger.read(key)
        if entry.state in {State.TOMBSTONE, State.UNDONE}:
            raise _undone(key)
        if entry.fingerprint != fingerprint:
            raise Problem(422, "Idempotency key reused", f"{key} came with another request before")
        return self._said_before(key)

    def _said_before(self, key: Key) -> Response:
        reply = self.ledger.read(key).reply
        assert reply is not None, f"the view of {key} has committed by itself"
        return reply.response(replayed=True)

    def _undone(self, action: Key, epoch: int | None, view: Callable[[Done], ViewResult]) -> Reply:
        if self.ledger.add(action, State.TOMBSTONE, epoch):
            return _NEVER_DONE
        # No lock: only an undo changes this row any more, and the undo's own key lets one through.
        entry = self.ledger.read(action)
        if entry.state is State.REFUSED:
            return _WAS_REFUSED
        assert entry.request is not None
        assert entry.reply is not None, f"the view of {action} has committed by itself"
        reply = Reply.of_view(view(Done(request=entry.request, reply=entry.reply.body)))
        self.ledger.mark_undone(action)
        return reply


def _undone(key: Key) -> Problem:
    return Problem(410, "Undone", f"{key} has been undone and will not be done any more")


def _epoch() -> int | None:
    """Only for the record: the key already says which call it is."""
    return request.headers.get("Saga-Epoch", type=int)


def _fingerprint(body: dict[str, Any]) -> str:
    """Return a digest of path and body: the same body for another client is another request."""
    text = f"{request.method} {request.full_path}\n{canonical(body)}"
    return hashlib.sha256(text.encode()).hexdigest()
