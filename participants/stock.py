"""Stock: the one truth about what can be sold, what is promised, and what is gone."""

from collections import Counter
from typing import Any
from uuid import uuid4

from flask import Blueprint
from sqlalchemy import BigInteger, Column, String, Table, insert, select, update

from participants.barrier import Barrier, Done, Refused
from participants.participant import Participant
from participants.units import (
    ON_HAND,
    RESERVED,
    SOLD,
    available,
    db,
    deliver,
    move,
    produits,
    short,
    unknown,
)
from participants.wire import LONGEST_TEXT, Body, Identifier, Line, lines, per_product, read_body

barrier = Barrier(db)
routes = Blueprint("stock", __name__)

#: `etat` is reservee, then liberee or vendue. A sale that is undone is a reservation again.
reservations = Table(
    "reservations",
    db.metadata,
    Column("reservation_id", String(LONGEST_TEXT), primary_key=True),
    Column("etat", String(10), nullable=False),
)
reserves = Table(
    "reservation_lignes",
    db.metadata,
    Column("reservation_id", String(LONGEST_TEXT), primary_key=True),
    Column("produit_id", String(LONGEST_TEXT), primary_key=True),
    Column("quantite", BigInteger, nullable=False),
)


class Produits(Body):
    produits = lines()


class Reservation(Body):
    reservation_id = Identifier(required=True)


@routes.get("/produits")
def niveaux() -> dict[str, Any]:
    rows = db.session.execute(select(produits.c.produit_id, produits.c.en_main).order_by(produits.c.produit_id))
    return {"produits": [{"produit_id": row.produit_id, "disponible": row.en_main} for row in rows]}


@routes.post("/disponibilite")
def disponibilite() -> dict[str, Any]:
    """Nothing is promised by it: only a reservation is."""
    asked = read_body(Produits())["produits"]
    on_hand = available(line["produit_id"] for line in asked)
    total: Counter[str] = Counter()
    for number, line in enumerate(asked, start=1):
        produit_id, where = line["produit_id"], f"Line {number}: "
        total[produit_id] += line["quantite"]
        if produit_id not in on_hand:
            raise unknown(produit_id, where, ligne=number)
        if total[produit_id] > on_hand[produit_id]:
            raise short(produit_id, total[produit_id], on_hand[produit_id], where=where, ligne=number)
    return {"produits": [{**line, "disponible": on_hand[line["produit_id"]]} for line in _as_json(asked)]}


@routes.post("/reserver")
@barrier.do
def reserver() -> tuple[dict[str, Any], int]:
    asked = read_body(Produits())["produits"]
    reservation_id = str(uuid4())
    db.session.execute(insert(reservations).values(reservation_id=reservation_id, etat="reservee"))
    for produit_id, quantite in per_product(asked):
        move(produit_id, quantite, ON_HAND, RESERVED)
        row = {"reservation_id": reservation_id, "produit_id": produit_id, "quantite": quantite}
        db.session.execute(insert(reserves).values(row))
    return {"reservation_id": reservation_id, "produits": _as_json(asked)}, 201


@routes.post("/liberer")
@barrier.undo
def liberer(done: Done) -> dict[str, Any]:
    reservation_id = done.reply["reservation_id"]
    if not _turned(reservation_id, "reservee", "liberee"):
        raise Refused(409, "Sold", f"Reservation {reservation_id} is sold and cannot be released any more")
    for produit_id, quantite in _lines_of(reservation_id):
        move(produit_id, quantite, RESERVED, ON_HAND)
    return {"reservation_id": reservation_id, "produits": done.reply["produits"]}


@routes.post("/confirmer")
@barrier.retriable
def confirmer() -> dict[str, Any]:
    reservation_id = read_body(Reservation())["reservation_id"]
    # Sold before, under another key, is as good as sold now; nothing else is.
    if not _sold(reservation_id) and (etat := _etat(reservation_id)) != "vendue":
        raise _not_reserved(reservation_id, etat)
    return {"reservation_id": reservation_id, "etat": "vendue"}


@routes.post("/vendre")
@barrier.do
def vendre() -> dict[str, Any]:
    """Unlike a confirmation it can be undone, so it must be this very call that sells."""
    reservation_id = read_body(Reservation())["reservation_id"]
    if not _sold(reservation_id):
        raise _not_reserved(reservation_id, _etat(reservation_id))
    return {"reservation_id": reservation_id, "etat": "vendue"}


@routes.post("/vendre/annuler")
@barrier.undo
def annuler_vente(done: Done) -> dict[str, Any]:
    reservation_id = done.reply["reservation_id"]
    turned = _turned(reservation_id, "vendue", "reservee")
    assert turned, "only this undo ends a sale"
    for produit_id, quantite in _lines_of(reservation_id):
        move(produit_id, quantite, SOLD, RESERVED)
    return {"reservation_id": reservation_id, "etat": "reservee"}


@routes.post("/remettre")
@barrier.do
def remettre() -> dict[str, Any]:
    """What a buyer brings back is on hand again."""
    brought = read_body(Produits())["produits"]
    for produit_id, quantite in per_product(brought):
        move(produit_id, quantite, SOLD, ON_HAND)
    return {"produits": _as_json(brought)}


@routes.post("/remettre/annuler")
@barrier.undo
def annuler_remise(done: Done) -> dict[str, Any]:
    for produit_id, quantite in per_product(done.reply["produits"]):
        move(produit_id, quantite, ON_HAND, SOLD)
    return done.reply


@routes.post("/livraisons")
@barrier.do
def livrer() -> tuple[dict[str, Any], int]:
    delivery = read_body(Line())
    produit_id, quantite = delivery["produit_id"], delivery["quantite"]
    return {"produit_id": produit_id, "quantite": quantite, "disponible": deliver(produit_id, quantite)}, 201


def balance() -> dict[str, Any]:
    rows = db.session.execute(select(produits).order_by(produits.c.produit_id)).mappings()
    return {"produits": {row["produit_id"]: {n: v for n, v in row.items() if n != "produit_id"} for row in rows}}


def _sold(reservation_id: str) -> bool:
    if not _turned(reservation_id, "reservee", "vendue"):
        return False
    for produit_id, quantite in _lines_of(reservation_id):
        move(produit_id, quantite, RESERVED, SOLD)
    return True


def _turned(reservation_id: str, was: str, becomes: str) -> bool:
    """Whether the reservation was in the one state, and is in the other now."""
    there = (reservations.c.reservation_id == reservation_id) & (reservations.c.etat == was)
    turned = update(reservations).where(there).values(etat=becomes).returning(reservations.c.reservation_id)
    return db.session.execute(turned).first() is not None


def _etat(reservation_id: str) -> str | None:
    return db.session.scalar(select(reservations.c.etat).where(reservations.c.reservation_id == reservation_id))


def _not_reserved(reservation_id: str, etat: str | None) -> Refused:
    return Refused(409 if etat else 404, "Not reserved", f"Reservation {reservation_id} is {etat or 'unknown'}")


def _lines_of(reservation_id: str) -> list[tuple[str, int]]:
    query = select(reserves.c.produit_id, reserves.c.quantite).where(reserves.c.reservation_id == reservation_id)
    return sorted((row.produit_id, row.quantite) for row in db.session.execute(query))


def _as_json(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(Line(many=True).dump(asked))


STOCK = Participant(name="stock", db=db, barrier=barrier, routes=routes, balance=balance)
