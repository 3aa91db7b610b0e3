"""Stock: the one truth about what can be sold, what is promised, and what is gone.

Units that come back belong to a reservation, as all units that move do. What a reservation still holds is what it
reserved less what came back: this is what is sold, released or taken back, in whatever order the calls come. So no
call moves the units of another reservation.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from flask import Blueprint
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    String,
    Table,
    func,
    insert,
    select,
    update,
)

from participants.barrier import Barrier, Done, Refused
from participants.database import SAGA
from participants.key import Direction, Key
from participants.participant import Participant
from participants.prices import require_price
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
from participants.v1_returns import Answered, Returned, V1Returns, refusal
from participants.wire import LONGEST_TEXT, Amount, Body, Identifier, Line, json_object, lines, per_product, read_body

barrier = Barrier(db)
routes = Blueprint("stock", __name__)

#: `etat` is reservee, then liberee or vendue. A sale that is undone is a reservation again.
reservations = Table(
    "reservations",
    db.metadata,
    Column("reservation_id", String(LONGEST_TEXT), primary_key=True),
    Column("etat", String(10), nullable=False),
    Column(SAGA, String(100), index=True),
)
reserves = Table(
    "reservation_lignes",
    db.metadata,
    Column("reservation_id", String(LONGEST_TEXT), primary_key=True),
    Column("produit_id", String(LONGEST_TEXT), primary_key=True),
    Column("quantite", BigInteger, nullable=False),
)
#: What came back of a reservation. Units that return_saga v1 brought back have no row here.
remises = Table(
    "remises",
    db.metadata,
    Column("remise_id", String(36), primary_key=True),
    Column("produit_id", String(LONGEST_TEXT), primary_key=True),
    Column("reservation_id", String(LONGEST_TEXT), nullable=False, index=True),
    Column("quantite", BigInteger, nullable=False),
    Column("annulee", Boolean, nullable=False, default=False),
)


def _v1_returns(_: Connection, answered: Answered) -> Iterator[Returned]:
    """Yield the returns of version 1: a later return is answered with its id, no other action with goods alone."""
    for cle, reply in answered:
        if reply.keys() == {"produits"}:
            for produit_id, quantite in per_product(reply["produits"]):
                yield Returned(cle=cle, objet=produit_id, quantite=quantite)


v1_returns = V1Returns(db, barrier.ledger, _v1_returns)

#: Where the units of a reservation are, by its state. A released one holds none.
_HOLDS = {"reservee": RESERVED, "vendue": SOLD, "liberee": None}


class Produits(Body):
    produits = lines()


class Disponibilite(Produits):
    """`montant`: what the buyer means to pay. With it the prices are checked as well."""

    montant = Amount(load_default=None)


class Remise(Produits):
    """`achat`: the purchase whose goods come back, as the sale's return names it."""

    achat = Identifier(required=True)


class Reservation(Body):
    reservation_id = Identifier(required=True)


@routes.get("/produits")
def niveaux() -> dict[str, Any]:
    rows = db.session.execute(select(produits.c.produit_id, produits.c.en_main).order_by(produits.c.produit_id))
    return {"produits": [{"produit_id": row.produit_id, "disponible": row.en_main} for row in rows]}


@routes.post("/disponibilite")
def disponibilite() -> dict[str, Any]:
    """Nothing is promised by it: only a reservation is."""
    body = read_body(Disponibilite())
    asked = body["produits"]
    if body["montant"] is not None:
        # Before the database is read: no transaction is open around the call.
        require_price(json_object())
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
    saga_id = Key.of_request(Direction.DO).saga_id
    reserved = {"reservation_id": reservation_id, "etat": "reservee", SAGA: saga_id}
    db.session.execute(insert(reservations).values(reserved))
    for produit_id, quantite in per_product(asked):
        move(produit_id, quantite, ON_HAND, RESERVED)
        row = {"reservation_id": reservation_id, "produit_id": produit_id, "quantite": quantite}
        db.session.execute(insert(reserves).values(row))
    return {"reservation_id": reservation_id, "produits": _as_json(asked)}, 201


@routes.post("/liberer")
@barrier.undo
def liberer(done: Done) -> dict[str, Any]:
    reservation_id, undo = done.reply["reservation_id"], Key.of_request(Direction.UNDO)
    # Goods come back of a sale only: a saga that did nothing here but reserve has sold none.
    if barrier.ledger.has_other_actions(undo.of_action):
        _refuse_if_returned(undo, reservation_id)
    if not _turned(reservation_id, "reservee", "liberee"):
        raise Refused(409, "Sold", f"Reservation {reservation_id} is sold and cannot be released any more")
    for produit_id, quantite in _held(reservation_id):
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
    _refuse_if_returned(Key.of_request(Direction.UNDO), reservation_id)
    turned = _turned(reservation_id, "vendue", "reservee")
    assert turned, "only this undo ends a sale"
    for produit_id, quantite in _held(reservation_id):
        move(produit_id, quantite, SOLD, RESERVED)
    return {"reservation_id": reservation_id, "etat": "reservee"}


@routes.post("/remettre")
@barrier.do
def remettre() -> dict[str, Any]:
    """Put on hand what a buyer brings back of his purchase. Units that a release has put there are not put twice."""
    body = read_body(Remise())
    reservation_id, place = _locked(reservations.c[SAGA] == body["achat"])
    held, remise_id = dict(_held(reservation_id)), str(uuid4())
    for produit_id, quantite in per_product(body["produits"]):
        if produit_id not in held:
            raise unknown(produit_id, f"Purchase {body['achat']}: ")
        if quantite > held[produit_id]:
            raise short(produit_id, quantite, held[produit_id], SOLD, f"Purchase {body['achat']}: ")
        row = {"reservation_id": reservation_id, "produit_id": produit_id, "quantite": quantite}
        db.session.execute(insert(remises).values(remise_id=remise_id, **row))
        if place is not None:
            move(produit_id, quantite, place, ON_HAND)
    return {"remise_id": remise_id, "achat": body["achat"], "produits": _as_json(body["produits"])}


@routes.post("/remettre/annuler")
@barrier.undo
def annuler_remise(done: Done) -> dict[str, Any]:
    remise_id = done.reply.get("remise_id")
    if remise_id is None:  # of return_saga v1
        for produit_id, quantite in per_product(done.reply["produits"]):
            move(produit_id, quantite, ON_HAND, SOLD)
        return done.reply
    _, place = _locked(reservations.c[SAGA] == done.reply["achat"])
    # The reservation is locked first: else a release could overlook that these units are its again.
    db.session.execute(update(remises).where(remises.c.remise_id == remise_id).values(annulee=True))
    if place is not None:
        for produit_id, quantite in per_product(done.reply["produits"]):
            move(produit_id, quantite, ON_HAND, place)
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
    for produit_id, quantite in _held(reservation_id):
        move(produit_id, quantite, RESERVED, SOLD)
    return True


def _refuse_if_returned(undo: Key, reservation_id: str) -> None:
    """Refuse the undo when goods of the reservation may have come back by return_saga v1."""
    its_products = select(reserves.c.produit_id).where(reserves.c.reservation_id == reservation_id)
    back = v1_returns.since(undo, its_products)
    if back:
        units = ", ".join(f"{quantite} of product {produit_id}" for produit_id, quantite in back.items())
        raise refusal(f"Units came back ({units})")


def _turned(reservation_id: str, was: str, becomes: str) -> bool:
    """Whether the reservation was in the one state, and is in the other now."""
    there = (reservations.c.reservation_id == reservation_id) & (reservations.c.etat == was)
    turned = update(reservations).where(there).values(etat=becomes).returning(reservations.c.reservation_id)
    return db.session.execute(turned).first() is not None


def _etat(reservation_id: str) -> str | None:
    return db.session.scalar(select(reservations.c.etat).where(reservations.c.reservation_id == reservation_id))


def _not_reserved(reservation_id: str, etat: str | None) -> Refused:
    return Refused(409 if etat else 404, "Not reserved", f"Reservation {reservation_id} is {etat or 'unknown'}")


def _locked(where: ColumnElement[bool]) -> tuple[str, Column[int] | None]:
    """Return the reservation and where its units are; no other call changes either until this one ends."""
    # SQLite has no row locks and needs none: a transaction that writes is alone there.
    query = select(reservations).where(where).order_by(reservations.c.reservation_id).limit(1).with_for_update()
    row = db.session.execute(query).mappings().one_or_none()
    if row is None:
        raise Refused(404, "No reservation", "Nothing was reserved for this purchase")
    return row["reservation_id"], _HOLDS[row["etat"]]


def _held(reservation_id: str) -> list[tuple[str, int]]:
    """Return what the reservation reserved less what came back of it. The caller has locked it, or turned its state."""
    query = select(reserves.c.produit_id, reserves.c.quantite).where(reserves.c.reservation_id == reservation_id)
    held = Counter({row.produit_id: row.quantite for row in db.session.execute(query)})
    stands = (remises.c.reservation_id == reservation_id) & ~remises.c.annulee
    back = select(remises.c.produit_id, func.sum(remises.c.quantite)).where(stands).group_by(remises.c.produit_id)
    held.subtract({produit_id: int(quantite) for produit_id, quantite in db.session.execute(back)})
    return sorted(held.items())


def _as_json(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(Line(many=True).dump(asked))


STOCK = Participant(name="stock", db=db, barrier=barrier, routes=routes, balance=balance)
