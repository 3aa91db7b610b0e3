"""Orders, and the shops that are closed."""

from typing import Any
from uuid import uuid4

from flask import Blueprint
from flask_sqlalchemy import SQLAlchemy
from marshmallow import fields
from sqlalchemy import JSON, BigInteger, Column, String, Table, func, insert, select, update

from participants.barrier import Barrier, Done, Refused
from participants.participant import Participant
from participants.payloads import LONGEST_TEXT, Amount, Body, Identifier, lines, read_body

db = SQLAlchemy()
barrier = Barrier(db)
routes = Blueprint("commandes", __name__)

#: `etat` is creee, then confirmee or annulee. `montant` and the prices in `produits` are optional and in cents.
orders = Table(
    "commandes",
    db.metadata,
    Column("commande_id", String(36), primary_key=True),
    Column("client_id", String(LONGEST_TEXT), nullable=False),
    Column("magasin_id", String(LONGEST_TEXT), nullable=False),
    Column("montant", BigInteger),
    Column("produits", JSON, nullable=False),
    Column("etat", String(10), nullable=False),
)
closed_shops = Table(
    "magasins_fermes",
    db.metadata,
    Column("magasin_id", String(LONGEST_TEXT), primary_key=True),
    Column("motif", String(LONGEST_TEXT), nullable=False),
)


class OrderBody(Body):
    """The body of a request for an order, and of the answer."""

    commande_id = fields.String(dump_only=True)
    client_id = Identifier(required=True)
    magasin_id = Identifier(required=True)
    montant = Amount(load_default=None)
    produits = lines()
    etat = fields.String(dump_only=True)


class ConfirmationBody(Body):
    commande_id = Identifier(required=True)


@routes.post("/commandes")
@barrier.do
def create() -> tuple[dict[str, Any], int]:
    order = read_body(OrderBody())
    shop_id = order["magasin_id"]
    closed = select(closed_shops.c.motif).where(closed_shops.c.magasin_id == shop_id)
    reason = db.session.scalar(closed)
    if reason is not None:
        raise Refused(409, "Closed shop", f"Shop {shop_id} takes no orders: {reason}", magasin_id=shop_id)
    order |= {"commande_id": str(uuid4()), "etat": "creee"}
    db.session.execute(insert(orders).values(order))
    return _as_json(order), 201


@routes.post("/commandes/annuler")
@barrier.undo
def cancel(done: Done) -> dict[str, Any]:
    order_id = done.reply["commande_id"]
    if not _change_state(order_id, "annulee"):
        raise Refused(409, "Confirmed", f"Order {order_id} is confirmed and cannot be cancelled any more")
    return {"commande_id": order_id, "etat": "annulee"}


@routes.post("/commandes/confirmer")
@barrier.retriable
def confirm() -> dict[str, Any]:
    order_id = read_body(ConfirmationBody())["commande_id"]
    # An order that was confirmed earlier under another key also counts as confirmed.
    if not _change_state(order_id, "confirmee") and _find(order_id)["etat"] != "confirmee":
        raise Refused(409, "Cancelled", f"Order {order_id} was cancelled")
    return {"commande_id": order_id, "etat": "confirmee"}


routes.get("/commandes/outcome")(barrier.outcome)


@routes.get("/commandes/<commande_id>")
def read_order(commande_id: str) -> dict[str, Any]:
    return _as_json(_find(commande_id))


def balance() -> dict[str, Any]:
    rows = db.session.execute(select(orders.c.etat, func.count().label("number")).group_by(orders.c.etat))
    return dict.fromkeys(("creee", "confirmee", "annulee"), 0) | {row.etat: row.number for row in rows}


def _change_state(order_id: str, state: str) -> bool:
    """Change the state of an open order; return False when the order is not open."""
    open_ = (orders.c.commande_id == order_id) & (orders.c.etat == "creee")
    turned = update(orders).where(open_).values(etat=state).returning(orders.c.commande_id)
    return db.session.execute(turned).first() is not None


def _find(order_id: str) -> dict[str, Any]:
    query = select(orders).where(orders.c.commande_id == order_id)
    row = db.session.execute(query).mappings().one_or_none()
    if row is None:
        raise Refused(404, "No order", f"There is no order {order_id}")
    return dict(row)


def _as_json(order: dict[str, Any]) -> dict[str, Any]:
    return dict(OrderBody().dump(order))


ORDERS = Participant(name="commandes", db=db, barrier=barrier, routes=routes, balance=balance)
