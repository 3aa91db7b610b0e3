"""The orchestrator with two sagas that wait for the answer of their participant, with the threads of production.

The participant calls back to the first saga. The second saga asks it, a few times a day.
"""

import os

from flask import Flask, Response, jsonify

from app import create_app
from app.access.permissions import Scope, needs
from app.api.request_parsing import start_saga
from app.config import from_environment
from app.service_threads import on_stop_signal
from app.services import services
from machines.call import get, post
from machines.fields import integer, text
from machines.later import callback, poll
from machines.outcomes import Outcome
from machines.registry import Registry
from machines.saga import Saga
from machines.step import pivot

DAYS_30_S = 30 * 86_400
PATIENT = Saga(
    name="patient", version=1, initial="ASKED", completed="PAID", compensated="NOT_PAID",
    data={"customer": text(), "amount": integer()},
    participants=("bench",),
    deadline_s=2 * DAYS_30_S,
    steps=(
        pivot("pay", post("bench", "/pay", amount="amount", means={200: Outcome.ACCEPTED}),
              later=callback(within_s=DAYS_30_S), done="PAID", refused="REFUSED"),
    ),
)  # fmt: skip
ASKING = Saga(
    name="asking", version=1, initial="ASKED", completed="PAID", compensated="NOT_PAID",
    data={"customer": text(), "amount": integer()},
    participants=("bench",),
    deadline_s=2 * DAYS_30_S,
    steps=(
        pivot("pay", post("bench", "/pay", amount="amount", means={200: Outcome.ACCEPTED}),
              later=poll(get("bench", "/state/{saga.id}", means={200: Outcome.ACCEPTED}), every_s=6 * 3_600,
                         within_s=DAYS_30_S),
              done="PAID", refused="REFUSED"),
    ),
)  # fmt: skip


def _make_application() -> Flask:
    made = create_app(from_environment(os.environ), Registry([PATIENT, ASKING]))

    @made.post("/order")
    @needs(Scope.START)
    def order() -> Response:
        saga = start_saga(PATIENT)
        return jsonify(id=str(saga.id), status=saga.status)

    @made.post("/ask")
    @needs(Scope.START)
    def ask() -> Response:
        saga = start_saga(ASKING)
        return jsonify(id=str(saga.id), status=saga.status)

    return made


application = _make_application()
_runner = services(application).runner
on_stop_signal(_runner.stopping.set, services(application).threads, _runner.stopping)
services(application).runner.start()
