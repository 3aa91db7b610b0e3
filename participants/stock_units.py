"""The place of each unit of stock: on hand, reserved or sold. Units only move; only a delivery adds units."""

from collections.abc import Iterable
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, CheckConstraint, Column, String, Table, select, update

from participants.barrier import Refused
from participants.payloads import LONGEST_TEXT

db = SQLAlchemy()

#: `initial` counts the first units and all delivered units.
products = Table(
    "produits",
    db.metadata,
    Column("produit_id", String(LONGEST_TEXT), primary_key=True),
    Column("initial", BigInteger, nullable=False),
    Column("en_main", BigInteger, nullable=False),
    Column("reserve", BigInteger, nullable=False, default=0),
    Column("vendu", BigInteger, nullable=False, default=0),
    CheckConstraint("initial = en_main + reserve + vendu AND en_main >= 0 AND reserve >= 0 AND vendu >= 0"),
)
ON_HAND, RESERVED, SOLD = products.c.en_main, products.c.reserve, products.c.vendu


def move(product_id: str, quantity: int, source: Column[int], dest: Column[int]) -> None:
    """Move units with one atomic statement. Raise Refused when the source has fewer units."""
    moved = (
        update(products)
        .where(products.c.produit_id == product_id, source >= quantity)
        .values({source: source - quantity, dest: dest + quantity})
        .returning(products.c.produit_id)
    )
    if db.session.execute(moved).first() is None:
        there = db.session.scalar(select(source).where(products.c.produit_id == product_id))
        raise unknown(product_id) if there is None else insufficient(product_id, quantity, there, source)


def deliver(product_id: str, quantity: int) -> int:
    """Add delivered units; return the number of units on hand."""
    delivered = (
        update(products)
        .where(products.c.produit_id == product_id)
        .values(initial=products.c.initial + quantity, en_main=products.c.en_main + quantity)
        .returning(products.c.en_main)
    )
    on_hand: int | None = db.session.scalar(delivered)
    if on_hand is None:
        raise unknown(product_id)
    return on_hand


def available(product_ids: Iterable[str]) -> dict[str, int]:
    query = select(products.c.produit_id, products.c.en_main).where(products.c.produit_id.in_(set(product_ids)))
    return {row.produit_id: row.en_main for row in db.session.execute(query)}


def unknown(product_id: str, where: str = "", **extra: Any) -> Refused:
    return Refused(404, "Unknown product", f"{where}Product {product_id} is unknown", produit_id=product_id, **extra)


def insufficient(
    product_id: str, quantity: int, there: int, source: Column[int] = ON_HAND, where: str = "", **extra: Any
) -> Refused:
    title, word = _INSUFFICIENT[source.name]
    detail = f"{where}Product {product_id}: {quantity} asked, {there} {word}"
    return Refused(409, title, detail, produit_id=product_id, demande=quantity, disponible=there, **extra)


_INSUFFICIENT = {
    "en_main": ("Insufficient stock", "available"),
    "reserve": ("Not reserved", "reserved"),
    "vendu": ("Not sold", "sold"),
}
