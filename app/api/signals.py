"""Signals to sagas that wait: by the id of the saga, or by its type and its business number (`order=` of the table)."""

from uuid import UUID

from flask import Blueprint, Flask, Response, jsonify, request
from marshmallow import INCLUDE, Schema

from app.access.permissions import Scope, keeps_to_limits
from app.access.principal import principal
from app.access.signals import require_role
from app.api.openapi.operation import BAD_BODY, operation
from app.api.request_parsing import idempotency_key, json_object, preferred_wait_s
from app.api.responses import saga_url
from app.api.schemas.sagas import Signalled
from app.errors import ConflictError, NotFoundError
from app.services import services
from app.store import queries
from app.store.arrivals import Signal
from app.store.models import SagaRow
from app.views.signals import signal_body, signal_entry, signal_step
from machines.registry import Registry
from machines.signals import waits_of
from machines.statuses import SAGA_STATUSES

blueprint = Blueprint("signals", __name__, url_prefix="/api/v1/sagas")


class _Body(Schema):
    """The fields that the saga's table names in `brings=` of the wait."""

    class Meta:
        unknown = INCLUDE


@blueprint.post("/<uuid:saga_id>/signals/<name>")
@operation(
    "Send a signal to a saga", "sagas", {202: Signalled()}, body=_Body(), body_optional=True,
    problems=(*BAD_BODY, 403, 404, 409, 422), conflict="The signal comes too late, or another one was first.",
    request_headers=["Idempotency-Key", "Prefer"], answer_headers=["Location"], need=Scope.START,
)  # fmt: skip
def send(saga_id: UUID, name: str) -> Response:
    """Send the signal that a saga waits for. A signal that comes early is kept until the saga waits for it."""
    saga = queries.get(saga_id)
    return _sent(saga, name)


@operation(
    "Send a signal to the saga of a number", "sagas", {202: Signalled()}, body=_Body(), body_optional=True,
    problems=(*BAD_BODY, 403, 404, 409, 422), conflict="As for the id of a saga, or several unfinished sagas have it.",
    request_headers=["Idempotency-Key", "Prefer"], answer_headers=["Location"], need=Scope.START,
)  # fmt: skip
@keeps_to_limits
def send_by_reference(saga_type: str, reference: str, name: str) -> Response:
    """Send a signal to the only unfinished saga of this type with this business number (`order=` of its table)."""
    found = queries.unfinished_of(saga_type, reference, principal().reach(Scope.START))
    if not found:
        raise NotFoundError(f"there is no unfinished {saga_type} saga with the number {reference}")
    if len(found) > 1:
        raise ConflictError(f"several unfinished {saga_type} sagas have the number {reference}; use the id of the saga")
    return _sent(found[0], name)


def add_signals(app: Flask, registry: Registry) -> None:
    """Add the path with the business number, for each type of saga that waits for signals and has such a number."""
    for name in registry.names:
        definition = registry.latest(name)
        if definition.order and any(waits_of(definition)):
            app.add_url_rule(
                f"{blueprint.url_prefix}/{name}/<reference>/signals/<name>", "signals.send_by_reference",
                send_by_reference, defaults={"saga_type": name}, methods=["POST"],
            )  # fmt: skip


def _sent(saga: SagaRow, name: str) -> Response:
    definition, step = signal_step(services().registry, saga, name)
    sender = principal()
    require_role(step, sender, saga)
    body = signal_body(definition, step, json_object() if request.get_data() else {})
    sent = Signal(name=name, body=body, sender=sender.actor, key=idempotency_key())
    entry = signal_entry(saga, sent) if sender.role is not None else None
    found = services().sagas.signal(saga.id, sent, preferred_wait_s(), entry=entry)
    answer = jsonify(id=str(found.id), signal=name, status=SAGA_STATUSES[found.status], state=found.state)
    answer.status_code = 202
    answer.headers["Location"] = saga_url(found.id)
    return answer
