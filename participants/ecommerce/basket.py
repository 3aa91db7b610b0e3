"""What a customer picks: read from the form, and refused with the field's name. All amounts are in cents."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from participants.ecommerce.clients import CLIENTS, Client

MOST = 99
#: Before each product's number in the names of the form's fields.
QUANTITY = "q"


@dataclass(frozen=True, kw_only=True)
class Product:
    product_id: str
    name: str
    price: int
    on_hand: int


@dataclass(frozen=True, kw_only=True)
class Line:
    product_id: str
    name: str
    quantity: int
    price: int

    @property
    def total(self) -> int:
        return self.quantity * self.price


@dataclass(kw_only=True)
class Basket:
    """`errors`: by field of the form. `key`: the form's own, so that it is bought once however often it is sent."""

    client: Client
    quantities: dict[str, str]
    key: UUID
    lines: list[Line] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(line.total for line in self.lines)

    @property
    def idempotency_key(self) -> str:
        """The same page with other goods is another order: somebody went back and changed his mind."""
        picked = json.dumps([self.client.client_id, [(it.product_id, it.quantity) for it in self.lines]])
        return str(uuid5(self.key, picked))


def picked(client: Client, shelf: Iterable[Product], asked: Mapping[str, str], key: UUID) -> Basket:
    """Fill a basket from fields such as q456=2, or with what this client is known for when there are none."""
    quantities = {it.product_id: asked.get(QUANTITY + it.product_id, "").strip() for it in shelf}
    if not any(QUANTITY + product_id in asked for product_id in quantities):
        quantities = {product_id: str(client.wants.get(product_id, 0)) for product_id in quantities}
    basket = Basket(client=client, quantities=quantities, key=key)
    for it in shelf:
        text = quantities[it.product_id] or "0"
        if not (text.isascii() and text.isdecimal() and int(text) <= MOST):
            basket.errors[QUANTITY + it.product_id] = f"{it.name}: the quantity must be a whole number from 0 to {MOST}"
        elif int(text):
            basket.lines.append(Line(product_id=it.product_id, name=it.name, quantity=int(text), price=it.price))
    if not basket.lines and not basket.errors:
        basket.errors["basket"] = "The basket is empty: set the quantity of at least one product"
    return basket


def client_of(text: str | None) -> Client | None:
    """None: no client that is known here."""
    return next((client for client in CLIENTS if str(client.client_id) == text), None)


def key_of(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


def as_rows(lines: Iterable[Line]) -> list[dict[str, Any]]:
    return [{"id": it.product_id, "name": it.name, "quantity": it.quantity, "price": it.price} for it in lines]


def from_rows(rows: Iterable[Mapping[str, Any]]) -> list[Line]:
    return [Line(product_id=row["id"], name=row["name"], quantity=row["quantity"], price=row["price"]) for row in rows]
