"""The supply chain: it checks the stock and orders deliveries of products that fall below their threshold.

An order is stored before it is sent. It is sent again, with its own id as idempotency key, until the stock answers. So
a crash neither loses nor repeats a delivery.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any
from uuid import uuid4

import requests
from flask import Blueprint, Flask, current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, Column, String, Table, func, insert, select, update

from participants.barrier import WRITING, Barrier, Problem
from participants.participant import Participant
from participants.payloads import LONGEST_TEXT
from participants.periodic import repeat

TIMEOUT_S = 5.0
_REFUSALS = {400, 404, 409, 422}

db = SQLAlchemy()
barrier = Barrier(db)
routes = Blueprint("supply-chain", __name__)

#: A product with less than `seuil` units on hand is filled up to `cible`. A product without a row is never restocked.
thresholds = Table(
    "seuils",
    db.metadata,
    Column("produit_id", String(LONGEST_TEXT), primary_key=True),
    Column("seuil", BigInteger, nullable=False),
    Column("cible", BigInteger, nullable=False),
)
#: `etat` is commandee, then livree or refusee.
restock_orders = Table(
    "reassorts",
    db.metadata,
    Column("reassort_id", String(36), primary_key=True),
    Column("produit_id", String(LONGEST_TEXT), nullable=False),
    Column("quantite", BigInteger, nullable=False),
    Column("etat", String(10), nullable=False),
)

_log = logging.getLogger(__name__)
_http = requests.Session()
_http.trust_env = False
#: One check at a time: two concurrent checks would order the same missing units twice.
_check_lock = Lock()


@routes.post("/reapprovisionner")
def restock() -> dict[str, Any]:
    if not _check_lock.acquire(blocking=False):
        raise Problem(409, "Already looking", "A look is under way; ask again when it is over")
    try:
        return {"livraisons": _check_stock()}
    except requests.RequestException as error:
        raise Problem(502, "Stock out of reach", f"The stock did not answer: {type(error).__name__}") from error
    finally:
        _check_lock.release()


def check_every(interval_s: float, app: Flask) -> None:
    """Check the stock every `interval_s` seconds, in a thread that ends with the process."""
    repeat(_restock_or_warn, interval_s, app)


def _restock_or_warn() -> None:
    try:
        restock()
    except Problem as problem:
        _log.warning("%s", problem.description)


def balance() -> dict[str, Any]:
    delivered = func.coalesce(func.sum(restock_orders.c.quantite), 0)
    query = (
        select(restock_orders.c.produit_id, delivered).where(restock_orders.c.etat == "livree").group_by("produit_id")
    )
    return {"livre": {product_id: int(quantity) for product_id, quantity in db.session.execute(query)}}


@contextmanager
def _writing() -> Iterator[None]:
    with db.session.begin():
        db.session.connection(execution_options=WRITING)
        yield


def _check_stock() -> list[dict[str, Any]]:
    """Return the deliveries that were made. Open orders of earlier checks come first, because they raise the levels."""
    earlier = _deliver_open()
    reply = _http.get(f"{current_app.config['STOCK_URL']}/produits", timeout=TIMEOUT_S)
    reply.raise_for_status()
    on_hand = {level["produit_id"]: level["disponible"] for level in reply.json()["produits"]}
    with _writing():
        for rule in db.session.execute(select(thresholds).order_by(thresholds.c.produit_id)).all():
            if on_hand.get(rule.produit_id, rule.seuil) < rule.seuil:
                row = {"produit_id": rule.produit_id, "quantite": rule.cible - on_hand[rule.produit_id]}
                db.session.execute(insert(restock_orders).values(reassort_id=str(uuid4()), etat="commandee", **row))
    return earlier + _deliver_open()


def _deliver_open() -> list[dict[str, Any]]:
    with db.session.begin():
        query = select(restock_orders).where(restock_orders.c.etat == "commandee").order_by(restock_orders.c.produit_id)
        waiting = [dict(row) for row in db.session.execute(query).mappings()]
    return [order for order in waiting if _delivered(order)]


def _delivered(order: dict[str, Any]) -> bool:
    """Send an order and record the answer. No transaction is open during the call."""
    reply = _http.post(
        f"{current_app.config['STOCK_URL']}/livraisons",
        json={"produit_id": order["produit_id"], "quantite": order["quantite"]},
        headers={"Idempotency-Key": f"{order['reassort_id']}/livrer/do"},
        timeout=TIMEOUT_S,
    )
    if not reply.ok and reply.status_code not in _REFUSALS:
        # In doubt: the same order is sent again at the next check.
        raise requests.HTTPError(f"{reply.status_code} from the stock", response=reply)
    order["etat"] = "livree" if reply.ok else "refusee"
    with _writing():
        its_row = restock_orders.c.reassort_id == order["reassort_id"]
        db.session.execute(update(restock_orders).where(its_row).values(etat=order["etat"]))
    return reply.ok


SUPPLY_CHAIN = Participant(name="supply-chain", db=db, barrier=barrier, routes=routes, balance=balance)
