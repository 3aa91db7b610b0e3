"""The checkout contract (001): /api/commande."""

from uuid import UUID

from flask import Blueprint, Response, jsonify, url_for

from app.api.parts import service
from app.api.problems import problem
from app.api.reading import idempotency_key, preferred_wait_s, saga_data
from app.errors import NotFoundError
from app.store import queries
from app.store.instance import Standing
from app.store.models import SagaRow
from machines.checkout import CHECKOUT

blueprint = Blueprint("checkout", __name__, url_prefix="/api/commande")


@blueprint.post("/checkout")
def start() -> Response:
    """Run the saga: 201 when confirmed, 409 when cancelled, 202 when it is not finished within the wait."""
    return _answer(service().start(CHECKOUT.name, saga_data(CHECKOUT), idempotency_key(), preferred_wait_s()))


@blueprint.get("/<uuid:saga_id>")
def show(saga_id: UUID) -> Response:
    order = _order(saga_id)
    return jsonify(
        id=str(order.id),
        client_id=order.data["client_id"],
        magasin_id=order.data["magasin_id"],
        etat_actuel=order.state,
    )


@blueprint.get("/<uuid:saga_id>/historique")
def history(saga_id: UUID) -> Response:
    """Give every state the order entered, in order."""
    entered = [row for row in queries.journal(_order(saga_id).id) if row.source != row.dest]
    return jsonify([{"etat": row.dest, "timestamp": row.at.isoformat()} for row in entered])


def _order(saga_id: UUID) -> SagaRow:
    order = queries.find(saga_id)
    if order is None or order.definition != CHECKOUT.name:
        raise NotFoundError(f"there is no order {saga_id}")
    return order


def _answer(saga: Standing) -> Response:
    where = url_for("checkout.show", saga_id=saga.id)
    if saga.status == "compensated":
        answer = problem(
            409, "Order cancelled", saga.error or "", saga_id=str(saga.id), etat_final=saga.state, erreur=saga.error
        )
    elif saga.status == "completed":
        answer = jsonify(saga_id=str(saga.id), etat_final=saga.state)
        answer.status_code = 201
    else:
        answer = jsonify(saga_id=str(saga.id), etat_actuel=saga.state, statut=saga.status)
        answer.status_code = 202
    answer.headers["Location"] = where
    if saga.replayed:
        answer.headers["Idempotent-Replayed"] = "true"
    return answer
