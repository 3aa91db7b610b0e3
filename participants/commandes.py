"""Orders, and the shops that take none."""

from typing import Any
from uuid import uuid4

from flask import Blueprint
from flask_sqlalchemy import SQLAlchemy
from marshmallow import fields
from sqlalchemy import JSON, BigInteger, Column, String, Table, func, insert, select, update

from participants.barrier import Barrier, Done, Refused
from participants.participant import Participant
from participants.wire import LONGEST_TEXT, Amount, Body, Identifier, lines, read_body

db = SQLAlchemy()
barrier = Barrier(db)
routes = Blueprint("commandes", __name__)

#: `etat` is creee, then confirmee or annulee. `montant` and the prices in `produits` are in cents, where there are any.
commandes = Table(
    "commandes",
    db.metadata,
    Column("commande_id", String(36), primary_key=True),
    Column("client_id", String(LONGEST_TEXT), nullable=False),
    Column("magasin_id", String(LONGEST_TEXT), nullable=False),
    Column("montant", BigInteger),
    Column("produits", JSON, nullable=False),
    Column("etat", String(10), nullable=False),
)
magasins_fermes = Table(
    "magasins_fermes",
    db.metadata,
    Column("magasin_id", String(LONGEST_TEXT), primary_key=True),
    Column("motif", String(LONGEST_TEXT), nullable=False),
)


class Commande(Body):
    """Both ways: what is asked for, and what is answered."""

    commande_id = fields.String(dump_only=True)
    client_id = Identifier(required=True)
    magasin_id = Identifier(required=True)
    montant = Amount(load_default=None)
    produits = lines()
    etat = fields.String(dump_only=True)


class Confirmation(Body):
    commande_id = Identifier(required=True)


@routes.post("/commandes")
@barrier.do
def creer() -> tuple[dict[str, Any], int]:
    commande = read_body(Commande())
    magasin_id = commande["magasin_id"]
    closed = select(magasins_fermes.c.motif).where(magasins_fermes.c.magasin_id == magasin_id)
    motif = db.session.scalar(closed)
    if motif is not None:
        raise Refused(409, "Closed shop", f"Shop {magasin_id} takes no orders: {motif}", magasin_id=magasin_id)
    commande |= {"commande_id": str(uuid4()), "etat": "creee"}
    db.session.execute(insert(commandes).values(commande))
    return _as_json(commande), 201


@routes.post("/commandes/annuler")
@barrier.undo
def annuler(done: Done) -> dict[str, Any]:
    commande_id = done.reply["commande_id"]
    if not _turned(commande_id, "annulee"):
        raise Refused(409, "Confirmed", f"Order {commande_id} is confirmed and cannot be cancelled any more")
    return {"commande_id": commande_id, "etat": "annulee"}


@routes.post("/commandes/confirmer")
@barrier.retriable
def confirmer() -> dict[str, Any]:
    commande_id = read_body(Confirmation())["commande_id"]
    # Confirmed before, under another key, is as good as confirmed now; nothing else is.
    if not _turned(commande_id, "confirmee") and _find(commande_id)["etat"] != "confirmee":
        raise Refused(409, "Cancelled", f"Order {commande_id} was cancelled")
    return {"commande_id": commande_id, "etat": "confirmee"}


routes.get("/commandes/outcome")(barrier.outcome)


@routes.get("/commandes/<commande_id>")
def lire(commande_id: str) -> dict[str, Any]:
    return _as_json(_find(commande_id))


def balance() -> dict[str, Any]:
    rows = db.session.execute(select(commandes.c.etat, func.count().label("number")).group_by(commandes.c.etat))
    return dict.fromkeys(("creee", "confirmee", "annulee"), 0) | {row.etat: row.number for row in rows}


def _turned(commande_id: str, etat: str) -> bool:
    """Whether the order was still open, and is in its new state now."""
    open_ = (commandes.c.commande_id == commande_id) & (commandes.c.etat == "creee")
    turned = update(commandes).where(open_).values(etat=etat).returning(commandes.c.commande_id)
    return db.session.execute(turned).first() is not None


def _find(commande_id: str) -> dict[str, Any]:
    query = select(commandes).where(commandes.c.commande_id == commande_id)
    row = db.session.execute(query).mappings().one_or_none()
    if row is None:
        raise Refused(404, "No order", f"There is no order {commande_id}")
    return dict(row)


def _as_json(commande: dict[str, Any]) -> dict[str, Any]:
    return dict(Commande().dump(commande))


COMMANDES = Participant(name="commandes", db=db, barrier=barrier, routes=routes, balance=balance)
