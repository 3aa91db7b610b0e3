"""The order as a table, and the service that takes it, with all that one in production has."""

from collections.abc import Mapping

from flask import Flask, Response, jsonify

from app import create_app
from app.access.needs import needs
from app.access.roles import Scope
from app.api.parts import service
from app.api.reading import idempotency_key, preferred_wait_s, saga_data
from app.config import from_environment
from app.store.instance import UNDER_WAY
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


def make_application(environment: Mapping[str, str]) -> Flask:
    application = create_app(from_environment(environment), Registry([BENCH]))

    @application.post("/order")
    @needs(Scope.START)
    def order() -> Response:
        saga = service().start(BENCH.name, saga_data(BENCH), idempotency_key(), preferred_wait_s())
        assert saga.status in {"completed", *UNDER_WAY}, saga
        return jsonify(id=str(saga.id), status=saga.status)

    return application
