"""The supply chain: looks at the stock, and orders a delivery of what falls short.

An order is written down before it is sent, and sent with its own number as idempotency key until it is answered: a
crash in between neither loses a delivery nor makes it twice.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Thread
from typing import Any
from uuid import uuid4

import requests
from flask import Blueprint, Flask, current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, Column, String, Table, func, insert, select, update

from participants.barrier import Barrier
from participants.database import WRITING
from participants.participant import Participant
from participants.problem import Problem
from participants.wire import LONGEST_TEXT

PATIENCE_S = 5.0
_REFUSALS = {400, 404, 409, 422}

db = SQLAlchemy()
barrier = Barrier(db)
routes = Blueprint("supply-chain", __name__)

#: Below `seuil` on hand, a product is filled up to `cible`. What has no row here is never restocked.
seuils = Table(
    "seuils",
    db.metadata,
    Column("produit_id", String(LONGEST_TEXT), primary_key=True),
    Column("seuil", BigInteger, nullable=False),
    Column("cible", BigInteger, nullable=False),
)
#: `etat` is commandee, then livree or refusee.
reassorts = Table(
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
#: Two looks at once would both see the same want, and fill it twice.
_one_look = Lock()


@routes.post("/reapprovisionner")
def reapprovisionner() -> dict[str, Any]:
    if not _one_look.acquire(blocking=False):
        raise Problem(409, "Already looking", "A look is under way; ask again when it is over")
    try:
        return {"livraisons": _look()}
    except requests.RequestException as error:
        raise Problem(502, "Stock out of reach", f"The stock did not answer: {type(error).__name__}") from error
    finally:
        _one_look.release()


def look_every(interval_s: float, app: Flask) -> None:
    """Keep looking, in a thread that ends with the process."""

    def keep_looking() -> None:
        while True:
            time.sleep(interval_s)
            try:
                with app.app_context():
                    reapprovisionner()
            except Problem as problem:
                _log.warning("%s", problem.description)
            except Exception:  # noqa: BLE001 - whatever it was, the thread must live
                _log.exception("A look at the stock failed; the next one is in %g s", interval_s)

    Thread(target=keep_looking, name="supply-chain", daemon=True).start()


def balance() -> dict[str, Any]:
    delivered = func.coalesce(func.sum(reassorts.c.quantite), 0)
    query = select(reassorts.c.produit_id, delivered).where(reassorts.c.etat == "livree").group_by("produit_id")
    return {"livre": {produit_id: int(quantite) for produit_id, quantite in db.session.execute(query)}}


@contextmanager
def _writing() -> Iterator[None]:
    with db.session.begin():
        db.session.connection(execution_options=WRITING)
        yield


def _look() -> list[dict[str, Any]]:
    """Give the deliveries that were made. What an earlier look left open comes first: it belongs to the levels."""
    earlier = _deliver_open()
    reply = _http.get(f"{current_app.config['STOCK_URL']}/produits", timeout=PATIENCE_S)
    reply.raise_for_status()
    on_hand = {level["produit_id"]: level["disponible"] for level in reply.json()["produits"]}
    with _writing():
        for rule in db.session.execute(select(seuils).order_by(seuils.c.produit_id)).all():
            if on_hand.get(rule.produit_id, rule.seuil) < rule.seuil:
                row = {"produit_id": rule.produit_id, "quantite": rule.cible - on_hand[rule.produit_id]}
                db.session.execute(insert(reassorts).values(reassort_id=str(uuid4()), etat="commandee", **row))
    return earlier + _deliver_open()


def _deliver_open() -> list[dict[str, Any]]:
    with db.session.begin():
        query = select(reassorts).where(reassorts.c.etat == "commandee").order_by(reassorts.c.produit_id)
        waiting = [dict(row) for row in db.session.execute(query).mappings()]
    return [order for order in waiting if _delivered(order)]


def _delivered(order: dict[str, Any]) -> bool:
    """No transaction is open around the call."""
    reply = _http.post(
        f"{current_app.config['STOCK_URL']}/livraisons",
        json={"produit_id": order["produit_id"], "quantite": order["quantite"]},
        headers={"Idempotency-Key": f"{order['reassort_id']}/livrer/do"},
        timeout=PATIENCE_S,
    )
    if not reply.ok and reply.status_code not in _REFUSALS:
        # It may have been made, or be made later: asked again at the next look.
        raise requests.HTTPError(f"{reply.status_code} from the stock", response=reply)
    order["etat"] = "livree" if reply.ok else "refusee"
    with _writing():
        its_row = reassorts.c.reassort_id == order["reassort_id"]
        db.session.execute(update(reassorts).where(its_row).values(etat=order["etat"]))
    return reply.ok


SUPPLY_CHAIN = Participant(name="supply-chain", db=db, barrier=barrier, routes=routes, balance=balance)
