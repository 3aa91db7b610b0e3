"""Carts. Reading changes nothing, and filling one twice is filling it once: the barrier has nothing to guard here."""

from typing import Any

from flask import Blueprint
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, BigInteger, Column, Integer, Table, func, or_, select, update

from participants.barrier import Barrier
from participants.database import WRITING, insert_new
from participants.participant import Participant
from participants.problem import Problem
from participants.wire import CLIENT_ID, Body, Line, PricedLine, lines, on_the_wire, read_body

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


class Panier(Body):
    produits = lines(PricedLine)


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


@routes.put(f"/{CLIENT_ID}")
def remplir(client_id: int) -> dict[str, Any]:
    """Let this be all that is in the client's cart."""
    produits = read_body(Panier())["produits"]
    with db.session.begin():
        connection = db.session.connection(execution_options=WRITING)
        own = paniers.c.client_id == client_id
        # The first rows have numbers of their own, which a sequence would give out once more.
        next_id = select(func.coalesce(func.max(paniers.c.id), 0) + 1).scalar_subquery()
        row = {"client_id": client_id, "produits": produits}
        while not insert_new(connection, paniers, id=next_id, **row):
            if connection.execute(update(paniers).where(own).values(produits=produits)).rowcount:
                break
    return lire(client_id)


def balance() -> dict[str, Any]:
    return {}


PANIER = Participant(name="panier", db=db, barrier=Barrier(db), routes=routes, balance=balance)
