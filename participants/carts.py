"""The carts. The barrier is not needed: reading has no effect, and filling or emptying a cart is idempotent.

A client who has filled no cart has a first one, so that an order can be tried without filling a cart before.
"""

from typing import Any

from flask import Blueprint, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Integer,
    String,
    Table,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from participants.barrier import WRITING, Barrier, Problem, insert_new
from participants.database import FILL
from participants.participant import Participant
from participants.payloads import (
    CLIENT_ID,
    LONGEST_TEXT,
    Body,
    Identifier,
    Line,
    PricedLine,
    lines,
    on_the_wire,
    read_body,
)

db = SQLAlchemy()
routes = Blueprint("panier", __name__)

#: The first carts, before a client fills one. `produits` holds lines with prices in cents. The row without a client is
#: the cart of all clients without a row.
carts = Table(
    "paniers",
    db.metadata,
    Column("id", Integer, primary_key=True),
    Column("client_id", BigInteger, unique=True),
    Column("produits", JSON, nullable=False),
)


def _take_over(connection: Connection) -> None:
    """Move the carts that clients filled in an earlier release, which kept them among the first carts."""
    of_clients = carts.c.client_id.is_not(None)
    for row in connection.execute(select(carts.c.client_id, carts.c.produits).where(of_clients)).all():
        connection.execute(insert(filled_carts).values(client_id=row.client_id, produits=row.produits))
    connection.execute(delete(carts).where(of_clients))


#: The carts that were filled. `commande`: the order that the cart was filled for, in the words of who filled it.
filled_carts = Table(
    "paniers_remplis",
    db.metadata,
    Column("client_id", BigInteger, primary_key=True, autoincrement=False),
    Column("commande", String(LONGEST_TEXT)),
    Column("produits", JSON, nullable=False),
    info={FILL: _take_over},
)


class CartBody(Body):
    produits = lines(PricedLine)
    commande = Identifier(load_default=None)


@routes.get(f"/{CLIENT_ID}")
def read_cart(client_id: int) -> dict[str, Any]:
    filled = select(filled_carts.c.produits).where(filled_carts.c.client_id == client_id)
    own_before_default = carts.c.client_id.is_(None)
    first = (
        select(carts.c.produits)
        .where(or_(carts.c.client_id == client_id, carts.c.client_id.is_(None)))
        .order_by(own_before_default)
        .limit(1)
    )
    cart = func.coalesce(filled.scalar_subquery(), first.scalar_subquery(), type_=JSON)
    cart_lines = db.session.execute(select(cart)).scalar_one()
    if not cart_lines:
        raise Problem(404, "No cart", f"Client {client_id} has nothing in a cart")
    amount = on_the_wire(sum(line["quantite"] * line["prix"] for line in cart_lines))
    return {"client_id": client_id, "produits": Line(many=True).dump(cart_lines), "montant": amount}


@routes.put(f"/{CLIENT_ID}")
def fill_cart(client_id: int) -> dict[str, Any]:
    """Replace the content of the client's cart."""
    body = read_body(CartBody())
    own = filled_carts.c.client_id == client_id
    with db.session.begin():
        connection = db.session.connection(execution_options=WRITING)
        while not insert_new(connection, filled_carts, client_id=client_id, **body):
            if connection.execute(update(filled_carts).where(own).values(body)).rowcount:
                break
    return read_cart(client_id)


@routes.delete(f"/{CLIENT_ID}")
def empty_cart(client_id: int) -> tuple[str, int]:
    """Empty the client's cart. With ?commande=, only when the cart was filled for that order."""
    filled = delete(filled_carts).where(filled_carts.c.client_id == client_id)
    if commande := request.args.get("commande"):
        filled = filled.where(filled_carts.c.commande == commande)
    with db.session.begin():
        db.session.connection(execution_options=WRITING).execute(filled)
    return "", 204


def balance() -> dict[str, Any]:
    return {}


CARTS = Participant(name="panier", db=db, barrier=Barrier(db), routes=routes, balance=balance)
