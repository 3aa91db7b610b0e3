"""The orchestrator, with all that a production service has."""

from flask import Response, jsonify

from app import create_app
from app.access.needs import needs
from app.access.roles import Scope
from app.api.parts import service
from app.api.reading import idempotency_key, preferred_wait_s, saga_data
from app.stopping import on_end
from machines.call import post
from machines.fields import integer, text
from machines.registry import Registry
from machines.saga import Saga
from machines.step import compensatable, pivot, retriable

BENCH = Saga(
    name="bench", version=1, initial="BEGUN", completed="CONFIRMED", compensated="CANCELLED",
    data={"customer": text(), "amount": integer()},
    participants=("bench",),
    steps=(
        compensatable("reserve", post("bench", "/reserve", customer="customer", amount="amount"),
                      undo=post("bench", "/release"), done="RESERVED", refused="NO_STOCK"),
        compensatable("pay", post("bench", "/pay", customer="customer", amount="amount"),
                      undo=post("bench", "/refund"), done="PAID", refused="NO_MONEY"),
        pivot("sell", post("bench", "/sell", customer="customer", amount="amount"), done="SOLD", refused="NO_SALE"),
        retriable("confirm", post("bench", "/confirm", customer="customer", amount="amount"), done="CONFIRMED"),
    ),
)  # fmt: skip

application = create_app(registry=Registry([BENCH]))
on_end(application.extensions["runner"].stopping.set)
application.extensions["runner"].start()
application.extensions["post"].start()


@application.post("/order")
@needs(Scope.START)
def order() -> Response:
    saga = service().start(BENCH.name, saga_data(BENCH), idempotency_key(), preferred_wait_s())
    assert saga.status == "completed", saga
    return jsonify(id=str(saga.id), status=saga.status)
