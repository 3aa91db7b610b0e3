"""Replies of /api/commande."""

from marshmallow import fields

from app.api.schemas.base import Reply, moment, one_of, state_of
from machines.checkout import CHECKOUT
from machines.statuses import SAGA_STATUSES


class OrderConfirmed(Reply):
    """The order is confirmed."""

    saga_id = fields.UUID()
    etat_final = state_of(CHECKOUT)


class OrderUnfinished(Reply):
    """The saga still runs or is stuck. The header Location has the URL of its state."""

    saga_id = fields.UUID()
    etat_actuel = state_of(CHECKOUT)
    statut = one_of(SAGA_STATUSES)


class Order(Reply):
    """The state of the order."""

    id = fields.UUID()
    client_id = fields.Integer()
    magasin_id = fields.Integer()
    etat_actuel = state_of(CHECKOUT)


class OrderState(Reply):
    """The states that the order has entered, the oldest first."""

    saga_id = fields.UUID()
    etat = state_of(CHECKOUT)
    timestamp = moment()
