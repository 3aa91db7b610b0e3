"""Sales, their returns, and the buyers who are blocked.

A return is announced before the money is paid back, and recorded when money and goods are back. The goods of an
announced return cannot be returned again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from flask import Blueprint
from flask_sqlalchemy import SQLAlchemy
from marshmallow import fields, validate
from sqlalchemy import JSON, BigInteger, Boolean, Column, ColumnElement, String, Table, func, insert, select, update

from participants.barrier import Barrier, Direction, Done, IdempotencyKey, Refused
from participants.database import SAGA
from participants.participant import Participant
from participants.payloads import (
    LARGEST_INTEGER,
    LONGEST_TEXT,
    Amount,
    Body,
    Identifier,
    Line,
    PricedLine,
    lines,
    on_the_wire,
    per_product,
    read_body,
)
from participants.v1_returns import ADVICE

db = SQLAlchemy()
barrier = Barrier(db)
routes = Blueprint("ventes", __name__)

#: `montant` and the prices in `produits` are in cents.
sales = Table(
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
#: `etat` is annonce, then enregistre. `etat` is null for a return that return_saga v1 recorded: the books of the stock
#: and of the client's account do not contain the sale of such a return.
returns = Table(
    "retours",
    db.metadata,
    Column("retour_id", String(36), primary_key=True),
    Column("vente_id", String(36), nullable=False, index=True),
    Column("montant", BigInteger, nullable=False),
    Column("produits", JSON, nullable=False),
    Column("annule", Boolean, nullable=False, default=False),
    Column("etat", String(10)),
)
blocked_buyers = Table(
    "acheteurs_bloques",
    db.metadata,
    Column("client_id", BigInteger, primary_key=True, autoincrement=False),
    Column("motif", String(LONGEST_TEXT), nullable=False),
)


def buyer() -> fields.Integer:
    return fields.Integer(required=True, strict=True, validate=validate.Range(0, LARGEST_INTEGER))


class SaleBody(Body):
    """The body of a request for a sale, and of the answer."""

    vente_id = fields.String(dump_only=True)
    client_id = buyer()
    magasin_id = Identifier(required=True)
    montant = Amount(required=True)
    produits = lines(PricedLine)


class ReturnBody(Body):
    client_id = buyer()
    montant = Amount(required=True)
    produits = lines()


class AnnouncementBody(Body):
    retour_id = Identifier(required=True)


@dataclass(frozen=True, kw_only=True)
class Sold:
    """A sale with its earlier returns. All amounts are in cents."""

    sale_id: str
    lines: list[dict[str, Any]]
    amount: int
    returned: list[dict[str, Any]]
    refunded: int

    def require_returnable(self, brought: list[dict[str, Any]], amount: int) -> None:
        """Raise Refused unless these goods and this amount are left of the sale."""
        left = dict(per_product(self.lines))
        for product_id, quantity in per_product(self.returned):
            left[product_id] -= quantity
        for product_id, quantity in per_product(brought):
            if product_id not in left:
                detail = f"Product {product_id} is not in sale {self.sale_id}"
                raise Refused(409, "Not in the sale", detail, produit_id=product_id)
            if quantity > left[product_id]:
                detail = f"Product {product_id}: {quantity} brought back, {left[product_id]} left of the sale"
                extra = {"produit_id": product_id, "demande": quantity, "disponible": left[product_id]}
                raise Refused(409, "More than was sold", detail, **extra)
        most = min(self._cost(brought), self.amount - self.refunded)
        if amount > most:
            detail = f"{on_the_wire(amount):.2f} asked for goods worth {on_the_wire(most):.2f} at most"
            raise Refused(409, "Too much money", detail, maximum=on_the_wire(most))

    def _cost(self, brought: Iterable[dict[str, Any]]) -> int:
        """Return the price of the goods. The highest price counts for a product that was sold at several prices."""
        prices: dict[str, int] = {}
        for line in self.lines:
            prices[line["produit_id"]] = max(line["prix"], prices.get(line["produit_id"], 0))
        return sum(prices[product_id] * quantity for product_id, quantity in per_product(brought))


@routes.post("/ventes")
@barrier.do
def record_sale() -> tuple[dict[str, Any], int]:
    sale = read_body(SaleBody())
    blocked = select(blocked_buyers.c.motif).where(blocked_buyers.c.client_id == sale["client_id"])
    reason = db.session.scalar(blocked)
    if reason is not None:
        raise Refused(409, "Blocked buyer", f"Client {sale['client_id']} may not buy: {reason}")
    sale |= {"vente_id": str(uuid4()), SAGA: IdempotencyKey.of_request(Direction.DO).saga_id}
    db.session.execute(insert(sales).values(sale))
    return _as_json(sale), 201


@routes.post("/ventes/annuler")
@barrier.undo
def cancel_sale(done: Done) -> dict[str, Any]:
    """Cancel a sale, except for the goods that were returned."""
    sale_id = done.reply["vente_id"]
    _find(sale_id, lock=True)
    if any(goods_return["etat"] is None for goods_return in _returned(sale_id)):
        raise Refused(409, "Returned", f"Goods of sale {sale_id} were returned by return_saga v1. {ADVICE}")
    db.session.execute(update(sales).where(sales.c.vente_id == sale_id).values(annulee=True))
    return {"vente_id": sale_id, "annulee": True}


routes.get("/ventes/outcome")(barrier.outcome)


@routes.get("/ventes/<vente_id>")
def read_sale(vente_id: str) -> dict[str, Any]:
    sale = _find(vente_id)
    refunded = sum(goods_return["montant"] for goods_return in _returned(vente_id) if goods_return["etat"] != "annonce")
    return {**_as_json(sale), "annulee": sale["annulee"], "rendu": on_the_wire(refunded)}


@routes.post("/ventes/<vente_id>/retournable")
def check_return(vente_id: str) -> dict[str, Any]:
    """Check a return without announcing it; the check reserves nothing."""
    return _as_return(vente_id, _checked(vente_id))


@routes.post("/ventes/<vente_id>/retours/annoncer")
@barrier.do
def announce_return(vente_id: str) -> tuple[dict[str, Any], int]:
    """Check the return and reserve its goods in one transaction. `achat` in the reply identifies the purchase."""
    goods_return = _checked(vente_id, lock=True)
    reply = _add_return(vente_id, goods_return, "annonce")
    return {**reply, SAGA: _find(vente_id)[SAGA]}, 201


@routes.post("/ventes/<vente_id>/retours/annoncer/annuler")
@barrier.undo
def withdraw_announcement(done: Done, vente_id: str) -> dict[str, Any]:  # noqa: ARG001 - the return's row has the sale
    return _take_back(done)


@routes.post("/ventes/<vente_id>/retours/enregistrer")
@barrier.do
def record_return(vente_id: str) -> dict[str, Any]:
    """Record an announced return. This is also possible after its sale was cancelled, because the goods are back."""
    return_id = read_body(AnnouncementBody())["retour_id"]
    announced = (returns.c.retour_id == return_id) & (returns.c.vente_id == vente_id) & ~returns.c.annule
    if not _change_state(announced, "annonce", "enregistre"):
        raise Refused(409, "Not announced", f"Return {return_id} of sale {vente_id} is not announced")
    return {"retour_id": return_id, "vente_id": vente_id, "etat": "enregistre"}


@routes.post("/ventes/<vente_id>/retours/enregistrer/annuler")
@barrier.undo
def undo_recorded_return(done: Done, vente_id: str) -> dict[str, Any]:
    _change_state(returns.c.retour_id == done.reply["retour_id"], "enregistre", "annonce")
    return {"retour_id": done.reply["retour_id"], "vente_id": vente_id, "etat": "annonce"}


@routes.post("/ventes/<vente_id>/retours")
@barrier.do
def record_v1_return(vente_id: str) -> tuple[dict[str, Any], int]:
    """Record a return; this is the last call of return_saga v1."""
    return _add_return(vente_id, _checked(vente_id, lock=True), None), 201


@routes.post("/ventes/<vente_id>/retours/annuler")
@barrier.undo
def undo_v1_return(done: Done, vente_id: str) -> dict[str, Any]:  # noqa: ARG001 - the return's row has the sale
    return _take_back(done)


def balance() -> dict[str, Any]:
    """Return the number of valid sales, and the sum of their amounts less the refunds for returned goods."""
    valid = select(func.count(), func.coalesce(func.sum(sales.c.montant), 0)).where(~sales.c.annulee)
    count, total = db.session.execute(valid).one()
    recorded = ~returns.c.annule & (func.coalesce(returns.c.etat, "enregistre") == "enregistre")
    of_sales = select(func.sum(returns.c.montant)).join(sales, sales.c.vente_id == returns.c.vente_id)
    refunded = db.session.scalar(of_sales.where(recorded, ~sales.c.annulee)) or 0
    return {"total": on_the_wire(int(total) - int(refunded)), "count": count}


def _checked(sale_id: str, *, lock: bool = False) -> dict[str, Any]:
    """Return the requested return after checking it. `lock`: other returns of the sale wait until this call ends."""
    goods_return = read_body(ReturnBody())
    sale = _find(sale_id, lock=lock)
    if sale["client_id"] != goods_return["client_id"]:
        raise Refused(409, "Another client's sale", f"Sale {sale_id} is not client {goods_return['client_id']}'s")
    if sale["annulee"]:
        raise Refused(409, "Cancelled sale", f"Sale {sale_id} was cancelled")
    earlier = _returned(sale_id)
    sold = Sold(
        sale_id=sale_id,
        lines=sale["produits"],
        amount=sale["montant"],
        returned=[line for each in earlier for line in each["produits"]],
        refunded=sum(each["montant"] for each in earlier),
    )
    sold.require_returnable(goods_return["produits"], goods_return["montant"])
    return goods_return


def _find(sale_id: str, *, lock: bool = False) -> dict[str, Any]:
    query = select(sales).where(sales.c.vente_id == sale_id)
    # SQLite has no row locks and needs none: only one transaction writes at a time.
    row = db.session.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise Refused(404, "No sale", f"There is no sale {sale_id}")
    return dict(row)


def _returned(sale_id: str) -> list[dict[str, Any]]:
    """Return the announced and recorded returns of the sale."""
    columns = (returns.c.montant, returns.c.produits, returns.c.etat)
    query = select(*columns).where(returns.c.vente_id == sale_id, ~returns.c.annule)
    return [dict(row) for row in db.session.execute(query).mappings()]


def _add_return(sale_id: str, goods_return: dict[str, Any], state: str | None) -> dict[str, Any]:
    return_id = str(uuid4())
    row = {"vente_id": sale_id, "montant": goods_return["montant"], "produits": goods_return["produits"], "etat": state}
    db.session.execute(insert(returns).values(retour_id=return_id, **row))
    return {"retour_id": return_id, **_as_return(sale_id, goods_return)}


def _take_back(done: Done) -> dict[str, Any]:
    """Cancel an announced or recorded return."""
    db.session.execute(update(returns).where(returns.c.retour_id == done.reply["retour_id"]).values(annule=True))
    return done.reply


def _change_state(where: ColumnElement[bool], was: str, becomes: str) -> bool:
    """Change the state of a return; return False when no such return is in the state `was`."""
    turned = update(returns).where(where, returns.c.etat == was).values(etat=becomes).returning(returns.c.retour_id)
    return db.session.execute(turned).first() is not None


def _as_json(sale: dict[str, Any]) -> dict[str, Any]:
    return dict(SaleBody().dump(sale))


def _as_return(sale_id: str, goods_return: dict[str, Any]) -> dict[str, Any]:
    dumped = Line(many=True).dump(goods_return["produits"])
    return {"vente_id": sale_id, "montant": on_the_wire(goods_return["montant"]), "produits": dumped}


SALES = Participant(name="ventes", db=db, barrier=barrier, routes=routes, balance=balance)
