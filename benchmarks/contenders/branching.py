"""The orchestrator with orders that branch: two calls one after the other, two at the same time, and one a line."""

import os

from flask import Flask, Response, jsonify, request

from app import create_app
from app.access.permissions import Scope, needs
from app.api.request_parsing import start_saga
from app.config import from_environment
from app.service_threads import on_stop_signal
from app.services import services
from machines.branching import each, together
from machines.call import post
from machines.fields import integer, list_of, text
from machines.registry import Registry
from machines.saga import Saga
from machines.step import Step, compensatable


def _call(name: str) -> Step:
    return compensatable(
        name,
        post("bench", f"/{name}", amount="amount"),
        undo=post("bench", f"/{name}/undo"),
        done=f"{name.upper()}_DONE",
        refused=f"NO_{name.upper()}",
    )


_DATA = {"customer": text(), "amount": integer()}
_LINES = {"lines": list_of(integer(), high=1_000)}
_TABLES = {
    "sequence": (_call("first"), _call("second")),
    "together": (together(_call("first"), _call("second"), name="both", done="BOTH_DONE", refused="NOT_BOTH"),),
    "each": (each("lines", _call("line"), done="LINES_DONE", refused="NOT_LINES"),),
}
SAGAS = {
    name: Saga(
        name=name,
        version=1,
        initial="ASKED",
        completed=steps[-1].done,
        compensated="CALLED_OFF",
        data=_DATA | (_LINES if name == "each" else {}),
        participants=("bench",),
        steps=steps,
    )
    for name, steps in _TABLES.items()
}


def _make_application() -> Flask:
    made = create_app(from_environment(os.environ), Registry(list(SAGAS.values())))

    @made.post("/order")
    @needs(Scope.START)
    def order() -> Response:
        saga = start_saga(SAGAS[request.args.get("shape", "sequence")])
        return jsonify(id=str(saga.id), status=saga.status)

    return made


application = _make_application()
_runner = services(application).runner
on_stop_signal(_runner.stopping.set, services(application).threads, _runner.stopping)
services(application).runner.start()
services(application).sagas.early_commits.start()
