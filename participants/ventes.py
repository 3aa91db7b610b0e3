"""Sales, what came back of them, and the buyers who may not buy.

A return is announced before anybody pays for it, and recorded when the money and the goods are back. From its
announcement on nobody else can bring the same goods back.
"""

from typing import Any
from uuid import uuid4

from flask import Blueprint
from flask_sqlalchemy import SQLAlchemy
from marshmallow import fields, validate
from sqlalchemy import JSON, BigInteger, Boolean, Column, ColumnElement, String, Table, func, insert, select, update

from participants.barrier import Barrier, Done, Refused
from participants.database import SAGA
from participants.key import Direction, Key
from participants.participant import Participant
from participants.returnable import Sold
from participants.v1_returns import ADVICE
from participants.wire import (
    LARGEST_INTEGER,
    LONGEST_TEXT,
    Amount,
    Body,
    Identifier,
    Line,
    PricedLine,
    lines,
    on_the_wire,
    read_body,
)

db = SQLAlchemy()
barrier = Barrier(db)
routes = Blueprint("ventes", __name__)

#: `montant` and the prices in `produits` are in cents.
ventes = Table(
    "ventes",
    db.metadata,
    Column("vente_id", String(36), primary_key=True),
    Column("client_id", BigInteger, nullable=False),
    Column("magasin_id", String(LONGEST_TEXT), nullable=False),
    Column("montant", BigInteger, nullable=False),
    Column("produits", JSON, nullable=False),
    Column("annulee", Boolean, nullable=False, default=False),
    Column(SAGA, String(100)),
)
#: `etat` is annonce, then enregistre. It is empty for a return that return_saga v1 recorded: neither the stock nor the
#: client's account knows which sale such a return belongs to.
retours = Table(
    "retours",
    db.metadata,
    Column("retour_id", String(36), primary_key=True),
    Column("vente_id", String(36), nullable=False, index=True),
    Column("montant", BigInteger, nullable=False),
    Column("produits", JSON, nullable=False),
    Column("annule", Boolean, nullable=False, default=False),
    Column("etat", String(10)),
)
acheteurs_bloques = Table(
    "acheteurs_bloques",
    db.metadata,
    Column("client_id", BigInteger, primary_key=True, autoincrement=False),
    Column("motif", String(LONGEST_TEXT), nullable=False),
)


def buyer() -> fields.Integer:
    return fields.Integer(required=True, strict=True, validate=validate.Range(0, LARGEST_INTEGER))


class Vente(Body):
    """Both ways: what is asked for, and what is answered."""

    vente_id = fields.String(dump_only=True)
    client_id = buyer()
    magasin_id = Identifier(required=True)
    montant = Amount(required=True)
    produits = lines(PricedLine)


class Retour(Body):
    client_id = buyer()
    montant = Amount(required=True)
    produits = lines()


class Annonce(Body):
    retour_id = Identifier(required=True)


@routes.post("/ventes")
@barrier.do
def enregistrer() -> tuple[dict[str, Any], int]:
    vente = read_body(Vente())
    blocked = select(acheteurs_bloques.c.motif).where(acheteurs_bloques.c.client_id == vente["client_id"])
    motif = db.session.scalar(blocked)
    if motif is not None:
        raise Refused(409, "Blocked buyer", f"Client {vente['client_id']} may not buy: {motif}")
    vente |= {"vente_id": str(uuid4()), SAGA: Key.of_request(Direction.DO).saga_id}
    db.session.execute(insert(ventes).values(vente))
    return _as_json(vente), 201


@routes.post("/ventes/annuler")
@barrier.undo
def annuler(done: Done) -> dict[str, Any]:
    """Cancel what is left of the sale: what came back of it is not cancelled a second time."""
    vente_id = done.reply["vente_id"]
    _find(vente_id, lock=True)
    if any(retour["etat"] is None for retour in _returned(vente_id)):
        raise Refused(409, "Returned", f"Goods of sale {vente_id} were returned by return_saga v1. {ADVICE}")
    db.session.execute(update(ventes).where(ventes.c.vente_id == vente_id).values(annulee=True))
    return {"vente_id": vente_id, "annulee": True}


routes.get("/ventes/outcome")(barrier.outcome)


@routes.get("/ventes/<vente_id>")
def lire(vente_id: str) -> dict[str, Any]:
    vente = _find(vente_id)
    refunded = sum(retour["montant"] for retour in _returned(vente_id) if retour["etat"] != "annonce")
    return {**_as_json(vente), "annulee": vente["annulee"], "rendu": on_the_wire(refunded)}


@routes.post("/ventes/<vente_id>/retournable")
def retournable(vente_id: str) -> dict[str, Any]:
    """Nothing is promised by it: only a return that is announced or recorded counts."""
    return _as_return(vente_id, _checked(vente_id))


@routes.post("/ventes/<vente_id>/retours/annoncer")
@barrier.do
def annoncer(vente_id: str) -> tuple[dict[str, Any], int]:
    """Check the return and keep its goods for it, in one act. `achat` names the purchase to the other participants."""
    retour = _checked(vente_id, lock=True)
    reply = _add_return(vente_id, retour, "annonce")
    return {**reply, SAGA: _find(vente_id)[SAGA]}, 201


@routes.post("/ventes/<vente_id>/retours/annoncer/annuler")
@barrier.undo
def annuler_annonce(done: Done, vente_id: str) -> dict[str, Any]:  # noqa: ARG001 - the return knows its sale
    return _take_back(done)


@routes.post("/ventes/<vente_id>/retours/enregistrer")
@barrier.do
def enregistrer_retour(vente_id: str) -> dict[str, Any]:
    """Record a return that was announced, even when its sale was cancelled in the meantime: the goods are back."""
    retour_id = read_body(Annonce())["retour_id"]
    announced = (retours.c.retour_id == retour_id) & (retours.c.vente_id == vente_id) & ~retours.c.annule
    if not _turned(announced, "annonce", "enregistre"):
        raise Refused(409, "Not announced", f"Return {retour_id} of sale {vente_id} is not announced")
    return {"retour_id": retour_id, "vente_id": vente_id, "etat": "enregistre"}


@routes.post("/ventes/<vente_id>/retours/enregistrer/annuler")
@barrier.undo
def annuler_enregistrement(done: Done, vente_id: str) -> dict[str, Any]:
    _turned(retours.c.retour_id == done.reply["retour_id"], "enregistre", "annonce")
    return {"retour_id": done.reply["retour_id"], "vente_id": vente_id, "etat": "annonce"}


@routes.post("/ventes/<vente_id>/retours")
@barrier.do
def retourner(vente_id: str) -> tuple[dict[str, Any], int]:
    """Record a return: the last call of return_saga v1."""
    return _add_return(vente_id, _checked(vente_id, lock=True), None), 201


@routes.post("/ventes/<vente_id>/retours/annuler")
@barrier.undo
def annuler_retour(done: Done, vente_id: str) -> dict[str, Any]:  # noqa: ARG001 - the return knows its sale
    return _take_back(done)


def balance() -> dict[str, Any]:
    """Return the sum of the sales that stand, less what was paid back for their returns."""
    stand = select(func.count(), func.coalesce(func.sum(ventes.c.montant), 0)).where(~ventes.c.annulee)
    count, total = db.session.execute(stand).one()
    recorded = ~retours.c.annule & (func.coalesce(retours.c.etat, "enregistre") == "enregistre")
    of_sales = select(func.sum(retours.c.montant)).join(ventes, ventes.c.vente_id == retours.c.vente_id)
    refunded = db.session.scalar(of_sales.where(recorded, ~ventes.c.annulee)) or 0
    return {"total": on_the_wire(int(total) - int(refunded)), "count": count}


def _checked(vente_id: str, *, lock: bool = False) -> dict[str, Any]:
    """Give the return that is asked for. With the lock, no other return of the sale comes before this one's end."""
    retour = read_body(Retour())
    vente = _find(vente_id, lock=lock)
    if vente["client_id"] != retour["client_id"]:
        raise Refused(409, "Another client's sale", f"Sale {vente_id} is not client {retour['client_id']}'s")
    if vente["annulee"]:
        raise Refused(409, "Cancelled sale", f"Sale {vente_id} was cancelled")
    earlier = _returned(vente_id)
    sold = Sold(
        vente_id=vente_id,
        produits=vente["produits"],
        montant=vente["montant"],
        returned=[line for each in earlier for line in each["produits"]],
        refunded=sum(each["montant"] for each in earlier),
    )
    sold.require_returnable(retour["produits"], retour["montant"])
    return retour


def _find(vente_id: str, *, lock: bool = False) -> dict[str, Any]:
    query = select(ventes).where(ventes.c.vente_id == vente_id)
    # SQLite knows no row lock and needs none: who writes is alone there.
    row = db.session.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise Refused(404, "No sale", f"There is no sale {vente_id}")
    return dict(row)


def _returned(vente_id: str) -> list[dict[str, Any]]:
    """Return what came back of the sale, and what was announced to."""
    columns = (retours.c.montant, retours.c.produits, retours.c.etat)
    query = select(*columns).where(retours.c.vente_id == vente_id, ~retours.c.annule)
    return [dict(row) for row in db.session.execute(query).mappings()]


def _add_return(vente_id: str, retour: dict[str, Any], etat: str | None) -> dict[str, Any]:
    retour_id = str(uuid4())
    row = {"vente_id": vente_id, "montant": retour["montant"], "produits": retour["produits"], "etat": etat}
    db.session.execute(insert(retours).values(retour_id=retour_id, **row))
    return {"retour_id": retour_id, **_as_return(vente_id, retour)}


def _take_back(done: Done) -> dict[str, Any]:
    """Let a return count no more, whether it was announced or recorded."""
    db.session.execute(update(retours).where(retours.c.retour_id == done.reply["retour_id"]).values(annule=True))
    return done.reply


def _turned(where: ColumnElement[bool], was: str, becomes: str) -> bool:
    """Return True when there is such a return in the state `was`; it is then in the state `becomes`."""
    turned = update(retours).where(where, retours.c.etat == was).values(etat=becomes).returning(retours.c.retour_id)
    return db.session.execute(turned).first() is not None


def _as_json(vente: dict[str, Any]) -> dict[str, Any]:
    return dict(Vente().dump(vente))


def _as_return(vente_id: str, retour: dict[str, Any]) -> dict[str, Any]:
    produits = Line(many=True).dump(retour["produits"])
    return {"vente_id": vente_id, "montant": on_the_wire(retour["montant"]), "produits": produits}


VENTES = Participant(name="ventes", db=db, barrier=barrier, routes=routes, balance=balance)
