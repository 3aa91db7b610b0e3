"""Where every unit of stock is: on hand, reserved or sold. A unit only moves; none appears but by a delivery."""

from collections.abc import Iterable
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, CheckConstraint, Column, String, Table, select, update

from participants.barrier import Refused
from participants.wire import LONGEST_TEXT

db = SQLAlchemy()

#: `initial` counts what was there at first and all that was delivered since.
produits = Table(
    "produits",
    db.metadata,
    Column("produit_id", String(LONGEST_TEXT), primary_key=True),
    Column("initial", BigInteger, nullable=False),
    Column("en_main", BigInteger, nullable=False),
    Column("reserve", BigInteger, nullable=False, default=0),
    Column("vendu", BigInteger, nullable=False, default=0),
    CheckConstraint("initial = en_main + reserve + vendu AND en_main >= 0 AND reserve >= 0 AND vendu >= 0"),
)
ON_HAND, RESERVED, SOLD = produits.c.en_main, produits.c.reserve, produits.c.vendu


def move(produit_id: str, quantite: int, source: Column[int], dest: Column[int]) -> None:
    """Move units, in one statement: no other call in between. Refused when there are fewer than that."""
    moved = (
        update(produits)
        .where(produits.c.produit_id == produit_id, source >= quantite)
        .values({source: source - quantite, dest: dest + quantite})
        .returning(produits.c.produit_id)
    )
    if db.session.execute(moved).first() is None:
        there = db.session.scalar(select(source).where(produits.c.produit_id == produit_id))
        raise unknown(produit_id) if there is None else short(produit_id, quantite, there, source)


def deliver(produit_id: str, quantite: int) -> int:
    """Give how many are on hand now."""
    delivered = (
        update(produits)
        .where(produits.c.produit_id == produit_id)
        .values(initial=produits.c.initial + quantite, en_main=produits.c.en_main + quantite)
        .returning(produits.c.en_main)
    )
    en_main: int | None = db.session.scalar(delivered)
    if en_main is None:
        raise unknown(produit_id)
    return en_main


def available(produit_ids: Iterable[str]) -> dict[str, int]:
    query = select(produits.c.produit_id, produits.c.en_main).where(produits.c.produit_id.in_(set(produit_ids)))
    return {row.produit_id: row.en_main for row in db.session.execute(query)}


def unknown(produit_id: str, where: str = "", **extra: Any) -> Refused:
    return Refused(404, "Unknown product", f"{where}Product {produit_id} is unknown", produit_id=produit_id, **extra)


def short(
    produit_id: str, quantite: int, there: int, source: Column[int] = ON_HAND, where: str = "", **extra: Any
) -> Refused:
    title, word = _SHORT[source.name]
    detail = f"{where}Product {produit_id}: {quantite} asked, {there} {word}"
    return Refused(409, title, detail, produit_id=produit_id, demande=quantite, disponible=there, **extra)


_SHORT = {
    "en_main": ("Insufficient stock", "available"),
    "reserve": ("Not reserved", "reserved"),
    "vendu": ("Not sold", "sold"),
}
