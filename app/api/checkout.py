"""/api/commande: the API for a checkout. One request runs the whole saga."""

from uuid import UUID

from flask import Blueprint, Response, jsonify, url_for

from app.access.permissions import Scope, keeps_to_limits
from app.api.cached import cached
from app.api.openapi.operation import BAD_BODY, START_ANSWER_HEADERS, START_REQUEST_HEADERS, operation
from app.api.problems import problem_answer
from app.api.request_parsing import start_saga
from app.api.responses import with_location
from app.api.schemas.checkout import Order, OrderConfirmed, OrderState, OrderUnfinished
from app.errors import NotFoundError
from app.store import queries
from app.store.instance import SagaSnapshot
from app.store.models import SagaRow
from machines.checkout import CHECKOUT
from machines.statuses import Status

blueprint = Blueprint("checkout", __name__, url_prefix="/api/commande")


_EXAMPLES = {
    name: {"client_id": client_id, "magasin_id": 1}
    for name, client_id in (
        ("Succès complet", 4), ("ECHEC STOCK", 1), ("ECHEC PAIEMENT", 2), ("ECHEC ENREGISTREMENT", 3)
    )
}  # fmt: skip


@blueprint.post("/checkout")
@operation(
    "Check out", "checkout", {201: OrderConfirmed(), 202: OrderUnfinished()}, body=CHECKOUT, examples=_EXAMPLES,
    problems=(*BAD_BODY, 409, 422), conflict="The order was cancelled and undone, or the saga of this key still runs.",
    request_headers=START_REQUEST_HEADERS, answer_headers=START_ANSWER_HEADERS,
    leads_to=["checkout.show", "checkout.history", "sagas.compensate"], id_at="/saga_id",
    need=Scope.START,
)  # fmt: skip
@keeps_to_limits
def start() -> Response:
    """Run the saga of an order.

    201: the order is confirmed. 409: the order is cancelled. 202: the saga still runs or is stuck.
    """
    return _answer(start_saga(CHECKOUT))


@blueprint.get("/<uuid:saga_id>")
@operation("Show an order", "checkout", {200: Order()}, problems=(404,))
@cached
def show(saga_id: UUID) -> Response:
    order = _order(saga_id)
    return jsonify(
        id=str(order.id),
        client_id=order.data.get("client_id"),
        magasin_id=order.data.get("magasin_id"),
        etat_actuel=order.state,
    )


@blueprint.get("/<uuid:saga_id>/historique")
@operation("Show an order's history", "checkout", {200: OrderState(many=True)}, problems=(404,))
def history(saga_id: UUID) -> Response:
    """Return the states that the order has entered, the oldest first."""
    entered = [row for row in queries.journal(_order(saga_id).id) if row.source != row.dest]
    return jsonify(
        [{"saga_id": str(row.saga_id), "etat": row.dest, "timestamp": row.at.isoformat()} for row in entered]
    )


def _order(saga_id: UUID) -> SagaRow:
    order = queries.find(saga_id)
    if order is None or order.definition != CHECKOUT.name:
        raise NotFoundError(f"there is no order {saga_id}")
    return order


def _answer(saga: SagaSnapshot) -> Response:
    if saga.status == Status.COMPENSATED:
        answer = problem_answer(
            409, "Order cancelled", saga.error or "", saga_id=str(saga.id), etat_final=saga.state, erreur=saga.error
        )
    elif saga.status == Status.COMPLETED:
        answer = jsonify(saga_id=str(saga.id), etat_final=saga.state)
        answer.status_code = 201
    else:
        answer = jsonify(saga_id=str(saga.id), etat_actuel=saga.state, statut=saga.status)
        answer.status_code = 202
    return with_location(answer, url_for("checkout.show", saga_id=saga.id), replayed=saga.replayed)
