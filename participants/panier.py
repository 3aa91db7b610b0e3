"""Carts. Reading changes nothing, so the barrier has nothing to guard here."""

from typing import Any

from flask import Blueprint
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, BigInteger, Column, Integer, Table, or_, select

from participants.barrier import Barrier
from participants.participant import Participant
from participants.problem import Problem
from participants.wire import CLIENT_ID, Line, on_the_wire

db = SQLAlchemy()
routes = Blueprint("panier", __name__)

#: `produits` holds lines with prices in cents. The cart without a client is everyone's who has none of his own.
paniers = Table(
    "paniers",
    db.metadata,
    Column("id", Integer, primary_key=True),
    Column("client_id", BigInteger, unique=True),
    Column("produits", JSON, nullable=False),
)


@routes.get(f"/{CLIENT_ID}")
def lire(client_id: int) -> dict[str, Any]:
    own_before_default = paniers.c.client_id.is_(None)
    query = (
        select(paniers.c.produits)
        .where(or_(paniers.c.client_id == client_id, paniers.c.client_id.is_(None)))
        .order_by(own_before_default)
        .limit(1)
    )
    produits = db.session.execute(query).scalar_one_or_none()
    if not produits:
        raise Problem(404, "No cart", f"Client {client_id} has nothing in a cart")
    montant = on_the_wire(sum(line["quantite"] * line["prix"] for line in produits))
    return {"client_id": client_id, "produits": Line(many=True).dump(produits), "montant": montant}


def balance() -> dict[str, Any]:
    return {}


PANIER = Participant(name="panier", db=db, barrier=Barrier(db), routes=routes, balance=balance)
