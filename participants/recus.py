"""Receipts. A file in the outbox is a receipt that was sent: it cannot be called back, so nothing here undoes it."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from flask import Blueprint, current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, Column, String, Table, func, insert, select

from participants.barrier import Barrier, Refused
from participants.key import Direction, Key
from participants.participant import Participant
from participants.wire import LONGEST_TEXT, Amount, Body, Identifier, PricedLine, lines, on_the_wire, read_body

db = SQLAlchemy()
barrier = Barrier(db)
routes = Blueprint("recus", __name__)

#: `montant` is in cents.
recus = Table(
    "recus",
    db.metadata,
    Column("recu_id", String(36), primary_key=True),
    Column("commande_id", String(LONGEST_TEXT), nullable=False),
    Column("montant", BigInteger, nullable=False),
    Column("fichier", String(LONGEST_TEXT), nullable=False),
)
clients_sans_adresse = Table(
    "clients_sans_adresse",
    db.metadata,
    Column("client_id", String(LONGEST_TEXT), primary_key=True),
)


class Recu(Body):
    commande_id = Identifier(required=True)
    client_id = Identifier(required=True)
    montant = Amount(required=True)
    produits = lines(PricedLine)


@routes.post("/recus")
@barrier.do
def envoyer() -> tuple[dict[str, Any], int]:
    recu = read_body(Recu())
    if db.session.scalar(select(clients_sans_adresse).where(clients_sans_adresse.c.client_id == recu["client_id"])):
        raise Refused(409, "No address", f"Client {recu['client_id']} has no address to send a receipt to")
    # Named after the key: what a crash left behind is written over when the call is sent again.
    recu_id = str(uuid5(NAMESPACE_URL, str(Key.of_request(Direction.DO))))
    fichier = f"recu-{recu_id}.txt"
    row = {"commande_id": recu["commande_id"], "montant": recu["montant"]}
    db.session.execute(insert(recus).values(recu_id=recu_id, fichier=fichier, **row))
    _put(current_app.config["OUTBOX"] / fichier, "\n".join(_document(recu_id, recu)) + "\n")
    return {"recu_id": recu_id, "fichier": fichier}, 201


routes.get("/recus/outcome")(barrier.outcome)


def balance() -> dict[str, Any]:
    count, total = db.session.execute(select(func.count(), func.coalesce(func.sum(recus.c.montant), 0))).one()
    return {"total": on_the_wire(int(total)), "count": count}


def _document(recu_id: str, recu: dict[str, Any]) -> Iterator[str]:
    yield f"REÇU {recu_id}"
    yield ""
    yield f"Date      {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    yield f"Commande  {recu['commande_id']}"
    yield f"Client    {recu['client_id']}"
    yield ""
    for line in recu["produits"]:
        prix, total = on_the_wire(line["prix"]), on_the_wire(line["prix"] * line["quantite"])
        yield f"{line['quantite']:>6} x {line['produit_id']:<36} {prix:>12.2f} {total:>14.2f}"
    yield "-" * 73
    yield f"{'Total':<58} {on_the_wire(recu['montant']):>14.2f}"


def _put(file: Path, text: str) -> None:
    """All of it or nothing, and there for good: a reader never sees half a receipt."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as document:
        document.write(text)
        document.flush()
        os.fsync(document.fileno())
    temporary.replace(file)


RECUS = Participant(name="recus", db=db, barrier=barrier, routes=routes, balance=balance)
