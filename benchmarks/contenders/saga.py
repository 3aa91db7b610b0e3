"""The order as a saga definition, and the orchestrator that serves it, configured as in production."""

from collections.abc import Mapping

from flask import Flask, Response, jsonify

from app import create_app
from app.access.permissions import Scope, needs
from app.api.request_parsing import start_saga
from app.config import from_environment
from benchmarks.contenders import STEPS, TIMEOUT_S
from machines.call import post
from machines.fields import integer, text
from machines.registry import Registry
from machines.saga import Saga
from machines.statuses import FINISHED, UNDER_WAY
from machines.step import compensatable, pivot, retriable

_SENT = {"customer": "customer", "amount": "amount", "note": "note"}
*_UNDONE, _PIVOT, _LAST = STEPS
BENCH = Saga(
    name="bench", version=1, initial="BEGUN", completed="CONFIRMED", compensated="CANCELLED",
    data={"customer": text(), "amount": integer(), "note": text(high=65_536, default="none")},
    participants=("bench",),
    steps=(
        *(compensatable(step, post("bench", f"/{step}", **_SENT), undo=post("bench", f"/undo_{step}", **_SENT),
                        done=f"DONE_{step}", refused=f"NO_{step}", timeout_s=TIMEOUT_S) for step in _UNDONE),
        pivot(_PIVOT, post("bench", f"/{_PIVOT}", **_SENT), done=f"DONE_{_PIVOT}", refused=f"NO_{_PIVOT}",
              timeout_s=TIMEOUT_S),
        retriable(_LAST, post("bench", f"/{_LAST}", **_SENT), done="CONFIRMED", timeout_s=TIMEOUT_S),
    ),
)  # fmt: skip


def make_application(environment: Mapping[str, str]) -> Flask:
    application = create_app(from_environment(environment), Registry([BENCH]))

    @application.post("/order")
    @needs(Scope.START)
    def order() -> Response:
        saga = start_saga(BENCH)
        assert saga.status in {*FINISHED, *UNDER_WAY}, saga
        return jsonify(id=str(saga.id), status=saga.status)

    return application
