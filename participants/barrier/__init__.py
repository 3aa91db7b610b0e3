"""The barrier: calls that are lost, repeated or in the wrong order do no harm to a participant of a saga.

This package imports nothing beside it. Copy the folder to use it in another service. Flask-SQLAlchemy is required.
Without Flask, copy only `rules.py` and `dbapi.py`; for Node, copy the folder `node`.

The orchestrator sends the header `Idempotency-Key: <saga id>/<step>/<do|undo>` with each call that has an effect. The
barrier runs the view in a transaction, together with one row of its ledger, so that:

- The same key gets the same answer again (`Idempotent-Replayed: true`); the effect happens once.
- An undo of an action that never happened is accepted and recorded. The action is refused when it arrives later (410).
- An undo gets the recorded request and reply of its action. The payload of the undo is not used.
- A refusal changes nothing and is recorded. Otherwise a delayed duplicate could take effect after the orchestrator
  received the refusal. A `retriable` view does not record refusals, because its caller must succeed in the end.
- A crash changes nothing and is not recorded, so the call can be sent again.

The ledger's row is inserted first. A second call with the same key waits in this INSERT until the first call ends, on
SQLite as on PostgreSQL (READ COMMITTED). A whole participant:

    db = SQLAlchemy()
    barrier = Barrier(db)                       # adds the table barrier_ledger to db.metadata
    routes = Blueprint("loyalty", __name__)

    @routes.post("/points")
    @barrier.do
    def give_points():
        points = request.get_json()["points"]
        if points > 1000:
            raise Refused(409, "Too many points", f"{points} points requested, the maximum is 1000")
        gift = Gift(points=points)
        db.session.add(gift)
        db.session.flush()
        return {"gift_id": gift.id}, 201        # or only a dict, for status 200

    @routes.post("/points/undo")
    @barrier.undo
    def take_points_back(done: Done):           # followed by the arguments of the path
        db.session.delete(db.session.get(Gift, done.reply["gift_id"]))
        return {}

    @routes.post("/letter")
    @barrier.retriable
    def send_letter(): ...

    routes.get("/points/outcome")(barrier.outcome)   # the outcome of a call whose reply was lost

    with app.app_context():
        tune(db.engine)                         # once; for SQLite

Rules for a view: use `db.session`, and neither commit nor roll back. Nothing may use the session before the barrier,
for example in a `before_request`. Only `Refused` is a refusal; any other exception, including `abort(409)`, is a crash.
"""

from .barrier import Barrier, json_object
from .idempotency_key import HEADER, IdempotencyKey
from .ledger import Ledger
from .problem import Problem, Refused, answer_with_problems
from .rules import Direction, Done, State
from .transactions import WRITING, insert_new, tune

__all__ = [
    "HEADER",
    "WRITING",
    "Barrier",
    "Direction",
    "Done",
    "IdempotencyKey",
    "Ledger",
    "Problem",
    "Refused",
    "State",
    "answer_with_problems",
    "insert_new",
    "json_object",
    "tune",
]
