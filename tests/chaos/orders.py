"""The clients' orders: a random mix of all five sagas. Each participant refuses some of them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

CHECKOUTS, COMMANDES, SAGAS = "/api/commande/checkout", "/api/saga/commandes/", "/api/v1/sagas"
SHOP, CLOSED_SHOP = "550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440099"
KEYBOARD, CABLE = "550e8400-e29b-41d4-a716-446655440001", "456"
#: Client 1 orders more than is in stock, client 2 has too little money, client 3 may not buy. Client 4 can always buy
#: and is drawn most often.
CLIENTS = (1, 2, 3, 4, 4, 4, 4, 4, 4)


@dataclass(frozen=True, kw_only=True)
class Order:
    """One order of a client."""

    key: str
    path: str
    body: dict[str, Any]
    #: The header Prefer, which says how long the client waits for the saga.
    prefer: str
    #: True when the client later returns the goods.
    brings_back: bool = False


def orders(seed: int, name: str = "") -> Iterator[Order]:
    """Yield random orders without end. The same seed yields the same orders."""
    draw, number = random.Random(seed), 0
    while True:
        number += 1
        make = draw.choice((checkout, checkout, commande, purchase, purchase, order))
        path, body = make(draw)
        prefer = draw.choice(("respond-async", "respond-async", "wait=1", "wait=5"))
        key = f"{name}-{seed}-{number}"
        yield Order(key=key, path=path, body=body, prefer=prefer, brings_back=make is purchase and draw.random() < 0.5)


def checkout(draw: random.Random) -> tuple[str, dict[str, Any]]:
    return CHECKOUTS, {"client_id": draw.choice(CLIENTS), "magasin_id": 1}


def commande(draw: random.Random) -> tuple[str, dict[str, Any]]:
    shop = draw.choice((SHOP, SHOP, SHOP, CLOSED_SHOP))
    lines = [{"produit_id": KEYBOARD, "quantite": draw.choice((1, 1, 1, 1, 1000))}]
    return COMMANDES, {"client_id": str(UUID(int=draw.getrandbits(128))), "magasin_id": shop, "lignes": lines}


def purchase(draw: random.Random) -> tuple[str, dict[str, Any]]:
    items = [{"product_id": int(CABLE), "quantity": 2, "price": 29.99}]
    data = {"store_id": 1, "items": items, "payment_method": "credit_card", "amount": 59.98}
    return SAGAS, {"type": "purchase_saga", "data": data | {"customer_id": draw.choice(CLIENTS)}}


def order(draw: random.Random) -> tuple[str, dict[str, Any]]:
    data = {"client_id": draw.choice((*CLIENTS, 6600)), "magasin_id": draw.choice((1, 1, 1, 1, 1, 99))}
    return SAGAS, {"type": "order_saga", "data": data | {"produits": [{"produit_id": CABLE, "quantite": 2}]}}


def return_of(bought: Order, sale_id: str) -> Order:
    items = [{"product_id": int(CABLE), "quantity": 1, "reason": "defective"}]
    data = {"sale_id": sale_id, "items": items, "refund_amount": 29.99}
    customer = {"customer_id": bought.body["data"]["customer_id"]}
    body = {"type": "return_saga", "data": data | customer}
    return Order(key=f"{bought.key}-return", path=SAGAS, body=body, prefer=bought.prefer)
