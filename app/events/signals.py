"""Signals that come as events of the type `saga.signal`. The source and the id of the event are the signal's key."""

from collections.abc import Mapping
from typing import Any

from marshmallow import RAISE, Schema, fields, validates_schema
from marshmallow.exceptions import ValidationError
from sqlalchemy import Row

from app.engine.service import SagaService
from app.errors import ConflictError, ForbiddenError, NotFoundError
from app.store.arrivals import Signal
from app.store.instance import SagaSnapshot
from app.views.signals import signal_body, signal_step
from app.views.validation import load, storable
from machines.registry import Registry
from machines.signals import waits_of

#: Type of the event. No table can name it in `started_by=`, because names of events have no dot.
SIGNAL_EVENT = "saga.signal"


class _Data(Schema):
    """The data of the event. The saga is named by its id, or by its type and its business number."""

    class Meta:
        unknown = RAISE

    saga = fields.UUID(load_default=None)
    type = fields.String(load_default=None, validate=storable)
    number = fields.String(load_default=None, validate=storable)
    signal = fields.String(required=True, validate=storable)
    body = fields.Dict(load_default=dict)

    @validates_schema
    def _names_one_saga(self, data: Mapping[str, Any], **_: Any) -> None:
        by_number = data["type"] is not None and data["number"] is not None
        named = data["saga"] is not None, by_number, data["type"] is not None or data["number"] is not None
        if named not in ((True, False, False), (False, True, True)):
            raise ValidationError("Name the saga by `saga` (its id), or by `type` and `number`.")


def waits_for_signals(registry: Registry) -> bool:
    """Return True when a saga of this release can wait for a signal."""
    return any(any(waits_of(definition)) for definition in registry)


def send(service: SagaService, registry: Registry, event: Mapping[str, Any], key: str) -> SagaSnapshot:
    """Send the signal of an event. Return the durable state of its saga. key: the idempotency key of the event.

    Raise ProblemError when the signal is refused. A repeated event changes nothing.
    """
    data = load(_Data(), event["data"], below="/data")
    sent = Signal(name=data["signal"], body=data["body"], sender=f"event:{event['source']}", key=key)
    saga = _saga(service, data, sent)
    definition, step = signal_step(registry, saga, sent.name)
    if step.waits and step.waits.role is not None:
        raise ForbiddenError(f"the step {step.name} needs the role {step.waits.role}, and an event has no role")
    body = signal_body(definition, step, sent.body)
    return service.signal(saga.id, Signal(name=sent.name, body=body, sender=sent.sender, key=key), 0.0)


def _saga(service: SagaService, data: Mapping[str, Any], sent: Signal) -> Row[Any]:
    if data["saga"] is not None:
        found = service.find(data["saga"])
        if found is None:
            raise NotFoundError(f"there is no saga {data['saga']}")
        return found
    named = f"{data['type']} saga with the number {data['number']}"
    sagas = service.arrivals.receivers(data["type"], data["number"], sent)
    if not sagas:
        raise NotFoundError(f"there is no unfinished {named}")
    if len(sagas) > 1:
        raise ConflictError(f"there are several unfinished {named}; name the saga by its id")
    return sagas[0]
