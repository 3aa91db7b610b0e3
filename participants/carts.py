"""The carts. The barrier is not needed: reading has no effect, and filling a cart is idempotent."""

from typing import Any

from flask import Blueprint
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, BigInteger, Column, Integer, Table, func, or_, select, update

from participants.barrier import WRITING, Barrier, Problem, insert_new
from participants.participant import Participant
from participants.payloads import CLIENT_ID, Body, Line, PricedLine, lines, on_the_wire, read_body

db = SQLAlchemy()
routes = Blueprint("panier", __name__)

#: `produits` holds lines with prices in cents. The row without a client is the cart of all clients without a row.
carts = Table(
    "paniers",
    db.metadata,
    Column("id", Integer, primary_key=True),
    Column("client_id", BigInteger, unique=True),
    Column("produits", JSON, nullable=False),
)


class CartBody(Body):
    produits = lines(PricedLine)


@routes.get(f"/{CLIENT_ID}")
def read_cart(client_id: int) -> dict[str, Any]:
    own_before_default = carts.c.client_id.is_(None)
    query = (
        select(carts.c.produits)
        .where(or_(carts.c.client_id == client_id, carts.c.client_id.is_(None)))
        .order_by(own_before_default)
        .limit(1)
    )
    cart_lines = db.session.execute(query).scalar_one_or_none()
    if not cart_lines:
        raise Problem(404, "No cart", f"Client {client_id} has nothing in a cart")
    amount = on_the_wire(sum(line["quantite"] * line["prix"] for line in cart_lines))
    return {"client_id": client_id, "produits": Line(many=True).dump(cart_lines), "montant": amount}


@routes.put(f"/{CLIENT_ID}")
def fill_cart(client_id: int) -> dict[str, Any]:
    """Replace the content of the client's cart."""
    cart_lines = read_body(CartBody())["produits"]
    with db.session.begin():
        connection = db.session.connection(execution_options=WRITING)
        own = carts.c.client_id == client_id
        # The id is not from a sequence, because a sequence would start with the ids of the seeded rows.
        next_id = select(func.coalesce(func.max(carts.c.id), 0) + 1).scalar_subquery()
        row = {"client_id": client_id, "produits": cart_lines}
        while not insert_new(connection, carts, id=next_id, **row):
            if connection.execute(update(carts).where(own).values(produits=cart_lines)).rowcount:
                break
    return read_cart(client_id)


def balance() -> dict[str, Any]:
    return {}


CARTS = Participant(name="panier", db=db, barrier=Barrier(db), routes=routes, balance=balance)
