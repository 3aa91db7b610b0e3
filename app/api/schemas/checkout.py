"""Replies of the checkout contract (001)."""

from marshmallow import fields

from app.api.schemas.base import Reply, moment, one_of, state_of
from machines.checkout import CHECKOUT
from machines.statuses import SAGA_STATUSES


class OrderConfirmed(Reply):
    """The order is confirmed."""

    saga_id = fields.UUID()
    etat_final = state_of(CHECKOUT)


class OrderUnfinished(Reply):
    """The saga goes on, or is stuck; ask at Location."""

    saga_id = fields.UUID()
    etat_actuel = state_of(CHECKOUT)
    statut = one_of(SAGA_STATUSES)


class Order(Reply):
    """Where the order stands."""

    id = fields.UUID()
    client_id = fields.Integer()
    magasin_id = fields.Integer()
    etat_actuel = state_of(CHECKOUT)


class OrderState(Reply):
    """Every state the order entered, in order."""

    saga_id = fields.UUID()
    etat = state_of(CHECKOUT)
    timestamp = moment()


# 000: the order behind the gateway
