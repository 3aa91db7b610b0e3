"""Stock: the units that can be sold, that are reserved, and that are sold.

Every unit that moves belongs to a reservation, including returned units. A reservation holds the units that it reserved
less the units that were returned. Only these units are sold, released or returned, in any order of the calls. So no
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

from participants.barrier import Barrier, Direction, Done, IdempotencyKey, Refused, json_object
from participants.database import SAGA
from participants.participant import Participant
from participants.payloads import LONGEST_TEXT, Amount, Body, Identifier, Line, lines, per_product, read_body
from participants.price_check import require_price
from participants.stock_units import (
    ON_HAND,
    RESERVED,
    SOLD,
    available,
    db,
    deliver,
    insufficient,
    move,
    products,
    unknown,
)
from participants.v1_returns import Answered, Returned, V1Returns, refusal

barrier = Barrier(db)
routes = Blueprint("stock", __name__)

#: `etat` is reservee, then liberee or vendue. When a sale is undone, `etat` is reservee again.
reservations = Table(
    "reservations",
    db.metadata,
    Column("reservation_id", String(LONGEST_TEXT), primary_key=True),
    Column("etat", String(10), nullable=False),
    Column(SAGA, String(100), index=True),
)
reserved_lines = Table(
    "reservation_lignes",
    db.metadata,
    Column("reservation_id", String(LONGEST_TEXT), primary_key=True),
    Column("produit_id", String(LONGEST_TEXT), primary_key=True),
    Column("quantite", BigInteger, nullable=False),
)
#: The returned units of a reservation. Units that return_saga v1 returned have no row here.
returned_units = Table(
    "remises",
    db.metadata,
    Column("remise_id", String(36), primary_key=True),
    Column("produit_id", String(LONGEST_TEXT), primary_key=True),
    Column("reservation_id", String(LONGEST_TEXT), nullable=False, index=True),
    Column("quantite", BigInteger, nullable=False),
    Column("annulee", Boolean, nullable=False, default=False),
)


def _v1_returns(_: Connection, answered: Answered) -> Iterator[Returned]:
    """Yield the returns of return_saga v1. Their replies contain only goods; later replies also have an id."""
    for key, reply in answered:
        if reply.keys() == {"produits"}:
            for product_id, quantity in per_product(reply["produits"]):
                yield Returned(key=key, subject=product_id, quantity=quantity)


v1_returns = V1Returns(db, barrier.ledger, _v1_returns)

#: The place of a reservation's units, by its state. A released reservation holds no units.
_HOLDS = {"reservee": RESERVED, "vendue": SOLD, "liberee": None}


class LinesBody(Body):
    produits = lines()


class AvailabilityBody(LinesBody):
    """The body of a check of availability.

    montant: the amount that the buyer will pay. When the body has it, the prices are checked too.
    """

    montant = Amount(load_default=None)


class ReturnedGoodsBody(LinesBody):
    """The body of returned goods.

    achat: the id of the purchase whose goods are returned. The reply to the announcement of the return has this id.
    """

    achat = Identifier(required=True)


class ReservationBody(Body):
    reservation_id = Identifier(required=True)


@routes.get("/produits")
def stock_levels() -> dict[str, Any]:
    rows = db.session.execute(select(products.c.produit_id, products.c.en_main).order_by(products.c.produit_id))
    return {"produits": [{"produit_id": row.produit_id, "disponible": row.en_main} for row in rows]}


@routes.post("/disponibilite")
def check_availability() -> dict[str, Any]:
    """Check that the goods are available, without reserving them."""
    body = read_body(AvailabilityBody())
    asked = body["produits"]
    if body["montant"] is not None:
        # The prices are checked before the database is read, so that no transaction is open during the call.
        require_price(json_object())
    on_hand = available(line["produit_id"] for line in asked)
    total: Counter[str] = Counter()
    for number, line in enumerate(asked, start=1):
        product_id, where = line["produit_id"], f"Line {number}: "
        total[product_id] += line["quantite"]
        if product_id not in on_hand:
            raise unknown(product_id, where, ligne=number)
        if total[product_id] > on_hand[product_id]:
            raise insufficient(product_id, total[product_id], on_hand[product_id], where=where, ligne=number)
    return {"produits": [{**line, "disponible": on_hand[line["produit_id"]]} for line in _as_json(asked)]}


@routes.post("/reserver")
@barrier.do
def reserve() -> tuple[dict[str, Any], int]:
    asked = read_body(LinesBody())["produits"]
    reservation_id = str(uuid4())
    saga_id = IdempotencyKey.of_request(Direction.DO).saga_id
    reserved = {"reservation_id": reservation_id, "etat": "reservee", SAGA: saga_id}
    db.session.execute(insert(reservations).values(reserved))
    for product_id, quantity in per_product(asked):
        move(product_id, quantity, ON_HAND, RESERVED)
        row = {"reservation_id": reservation_id, "produit_id": product_id, "quantite": quantity}
        db.session.execute(insert(reserved_lines).values(row))
    return {"reservation_id": reservation_id, "produits": _as_json(asked)}, 201


@routes.post("/liberer")
@barrier.undo
def release(done: Done) -> dict[str, Any]:
    reservation_id, undo = done.reply["reservation_id"], IdempotencyKey.of_request(Direction.UNDO)
    # Only sold goods can be returned. A saga without another action at this participant has sold nothing.
    if barrier.ledger.has_other_actions(undo.of_action):
        _refuse_if_returned(undo, reservation_id)
    if not _change_state(reservation_id, "reservee", "liberee"):
        raise Refused(409, "Sold", f"Reservation {reservation_id} is sold and cannot be released any more")
    for product_id, quantity in _held(reservation_id):
        move(product_id, quantity, RESERVED, ON_HAND)
    return {"reservation_id": reservation_id, "produits": done.reply["produits"]}


@routes.post("/confirmer")
@barrier.retriable
def confirm() -> dict[str, Any]:
    reservation_id = read_body(ReservationBody())["reservation_id"]
    # A reservation that was sold earlier under another key also counts as confirmed.
    if not _sell(reservation_id) and (state := _state_of(reservation_id)) != "vendue":
        raise _not_reserved(reservation_id, state)
    return {"reservation_id": reservation_id, "etat": "vendue"}


@routes.post("/vendre")
@barrier.do
def sell() -> dict[str, Any]:
    """Sell a reservation. This call must make the sale itself, because its undo reverses the sale."""
    reservation_id = read_body(ReservationBody())["reservation_id"]
    if not _sell(reservation_id):
        raise _not_reserved(reservation_id, _state_of(reservation_id))
    return {"reservation_id": reservation_id, "etat": "vendue"}


@routes.post("/vendre/annuler")
@barrier.undo
def undo_sale(done: Done) -> dict[str, Any]:
    reservation_id = done.reply["reservation_id"]
    _refuse_if_returned(IdempotencyKey.of_request(Direction.UNDO), reservation_id)
    turned = _change_state(reservation_id, "vendue", "reservee")
    assert turned, "only this undo ends a sale"
    for product_id, quantity in _held(reservation_id):
        move(product_id, quantity, SOLD, RESERVED)
    return {"reservation_id": reservation_id, "etat": "reservee"}


@routes.post("/remettre")
@barrier.do
def take_back() -> dict[str, Any]:
    """Put returned units of a purchase on hand, except units that a release has already put there."""
    body = read_body(ReturnedGoodsBody())
    reservation_id, place = _locked(reservations.c[SAGA] == body["achat"])
    held, return_id = dict(_held(reservation_id)), str(uuid4())
    for product_id, quantity in per_product(body["produits"]):
        if product_id not in held:
            raise unknown(product_id, f"Purchase {body['achat']}: ")
        if quantity > held[product_id]:
            raise insufficient(product_id, quantity, held[product_id], SOLD, f"Purchase {body['achat']}: ")
        row = {"reservation_id": reservation_id, "produit_id": product_id, "quantite": quantity}
        db.session.execute(insert(returned_units).values(remise_id=return_id, **row))
        if place is not None:
            move(product_id, quantity, place, ON_HAND)
    return {"remise_id": return_id, "achat": body["achat"], "produits": _as_json(body["produits"])}


@routes.post("/remettre/annuler")
@barrier.undo
def undo_taking_back(done: Done) -> dict[str, Any]:
    return_id = done.reply.get("remise_id")
    if return_id is None:  # a return of return_saga v1 has no id
        for product_id, quantity in per_product(done.reply["produits"]):
            move(product_id, quantity, ON_HAND, SOLD)
        return done.reply
    _, place = _locked(reservations.c[SAGA] == done.reply["achat"])
    # The reservation is locked first. Otherwise a concurrent release could miss that the reservation holds these units
    # again.
    db.session.execute(update(returned_units).where(returned_units.c.remise_id == return_id).values(annulee=True))
    if place is not None:
        for product_id, quantity in per_product(done.reply["produits"]):
            move(product_id, quantity, ON_HAND, place)
    return done.reply


@routes.post("/livraisons")
@barrier.do
def receive_delivery() -> tuple[dict[str, Any], int]:
    delivery = read_body(Line())
    product_id, quantity = delivery["produit_id"], delivery["quantite"]
    return {"produit_id": product_id, "quantite": quantity, "disponible": deliver(product_id, quantity)}, 201


def balance() -> dict[str, Any]:
    rows = db.session.execute(select(products).order_by(products.c.produit_id)).mappings()
    return {"produits": {row["produit_id"]: {n: v for n, v in row.items() if n != "produit_id"} for row in rows}}


def _sell(reservation_id: str) -> bool:
    """Sell the units of a reservation; return False when it is not reserved."""
    if not _change_state(reservation_id, "reservee", "vendue"):
        return False
    for product_id, quantity in _held(reservation_id):
        move(product_id, quantity, RESERVED, SOLD)
    return True


def _refuse_if_returned(undo: IdempotencyKey, reservation_id: str) -> None:
    """Refuse the undo when return_saga v1 may have returned goods of the reservation."""
    its_products = select(reserved_lines.c.produit_id).where(reserved_lines.c.reservation_id == reservation_id)
    back = v1_returns.since(undo, its_products)
    if back:
        units = ", ".join(f"{quantity} of product {product_id}" for product_id, quantity in back.items())
        raise refusal(f"Units came back ({units})")


def _change_state(reservation_id: str, was: str, becomes: str) -> bool:
    """Change the state of a reservation; return False when it is not in the state `was`."""
    there = (reservations.c.reservation_id == reservation_id) & (reservations.c.etat == was)
    turned = update(reservations).where(there).values(etat=becomes).returning(reservations.c.reservation_id)
    return db.session.execute(turned).first() is not None


def _state_of(reservation_id: str) -> str | None:
    return db.session.scalar(select(reservations.c.etat).where(reservations.c.reservation_id == reservation_id))


def _not_reserved(reservation_id: str, state: str | None) -> Refused:
    return Refused(409 if state else 404, "Not reserved", f"Reservation {reservation_id} is {state or 'unknown'}")


def _locked(where: ColumnElement[bool]) -> tuple[str, Column[int] | None]:
    """Lock a reservation. Return its id and the place of its units.

    Other calls for this reservation wait until this call ends.
    """
    # SQLite has no row locks and needs none: only one transaction writes at a time.
    query = select(reservations).where(where).order_by(reservations.c.reservation_id).limit(1).with_for_update()
    row = db.session.execute(query).mappings().one_or_none()
    if row is None:
        raise Refused(404, "No reservation", "Nothing was reserved for this purchase")
    return row["reservation_id"], _HOLDS[row["etat"]]


def _held(reservation_id: str) -> list[tuple[str, int]]:
    """Return the units that the reservation holds. The caller has locked it or changed its state."""
    query = select(reserved_lines.c.produit_id, reserved_lines.c.quantite).where(
        reserved_lines.c.reservation_id == reservation_id
    )
    held = Counter({row.produit_id: row.quantite for row in db.session.execute(query)})
    valid = (returned_units.c.reservation_id == reservation_id) & ~returned_units.c.annulee
    back = (
        select(returned_units.c.produit_id, func.sum(returned_units.c.quantite))
        .where(valid)
        .group_by(returned_units.c.produit_id)
    )
    held.subtract({product_id: int(quantity) for product_id, quantity in db.session.execute(back)})
    return sorted(held.items())


def _as_json(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(Line(many=True).dump(asked))


STOCK = Participant(name="stock", db=db, barrier=barrier, routes=routes, balance=balance)
