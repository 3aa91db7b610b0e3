"""The basket: read from the form and validated, with an error for each invalid field. All amounts are in cents."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5


@dataclass(frozen=True, kw_only=True)
class Client:
    """A client that the shop offers. `participants.seed` decides the result of the client's order."""

    client_id: int
    awaits: str  # the expected result
    explained: str
    wants: Mapping[str, int]  # the initial basket: quantity by product


ORDINARY: Mapping[str, int] = {"101": 1, "456": 2}

CLIENTS = (
    Client(client_id=4, awaits="All goes well", explained="Enough stock, enough money.", wants=ORDINARY),
    Client(client_id=1, awaits="Not enough stock", explained="Wants 5 of the rare edition.", wants={"789": 5}),
    Client(client_id=2, awaits="Not enough money", explained="Has €10.00 on the account.", wants=ORDINARY),
    Client(client_id=3, awaits="Refused by sales", explained="Has unpaid invoices.", wants=ORDINARY),
)

MAX_QUANTITY = 99
#: Prefix of the form fields; the product's number follows.
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
    """A basket.

    key: the key of the form. A form that is sent several times buys once, because its key is the same.
    errors: the error of each invalid form field.
    """

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
        """The key of the order. The same form with other goods (after Back in the browser) is another order."""
        picked = json.dumps([self.client.client_id, [(it.product_id, it.quantity) for it in self.lines]])
        return str(uuid5(self.key, picked))


def picked(client: Client, shelf: Iterable[Product], asked: Mapping[str, str], key: UUID) -> Basket:
    """Return a basket from form fields such as q456=2; without such fields, the client's initial basket."""
    quantities = {it.product_id: asked.get(QUANTITY + it.product_id, "").strip() for it in shelf}
    if not any(QUANTITY + product_id in asked for product_id in quantities):
        quantities = {product_id: str(client.wants.get(product_id, 0)) for product_id in quantities}
    basket = Basket(client=client, quantities=quantities, key=key)
    for it in shelf:
        text = quantities[it.product_id] or "0"
        if not (text.isascii() and text.isdecimal() and int(text) <= MAX_QUANTITY):
            basket.errors[QUANTITY + it.product_id] = (
                f"{it.name}: the quantity must be a whole number from 0 to {MAX_QUANTITY}"
            )
        elif int(text):
            basket.lines.append(Line(product_id=it.product_id, name=it.name, quantity=int(text), price=it.price))
    if not basket.lines and not basket.errors:
        basket.errors["basket"] = "The basket is empty: set the quantity of at least one product"
    return basket


def client_of(text: str | None) -> Client | None:
    """Return the offered client with this number; None when no client has this number."""
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
