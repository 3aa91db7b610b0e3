"""The receipts. A receipt is sent when its file is in the folder `outbox`.

A sent receipt cannot be recalled, so there is no undo.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from flask import Blueprint, current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, Column, String, Table, func, insert, select

from participants.barrier import Barrier, Direction, IdempotencyKey, Refused
from participants.participant import Participant
from participants.payloads import LONGEST_TEXT, Amount, Body, Identifier, PricedLine, lines, on_the_wire, read_body

db = SQLAlchemy()
barrier = Barrier(db)
routes = Blueprint("recus", __name__)

#: `montant` is in cents.
receipts = Table(
    "recus",
    db.metadata,
    Column("recu_id", String(36), primary_key=True),
    Column("commande_id", String(LONGEST_TEXT), nullable=False),
    Column("montant", BigInteger, nullable=False),
    Column("fichier", String(LONGEST_TEXT), nullable=False),
)
clients_without_address = Table(
    "clients_sans_adresse",
    db.metadata,
    Column("client_id", String(LONGEST_TEXT), primary_key=True),
)


class ReceiptBody(Body):
    commande_id = Identifier(required=True)
    client_id = Identifier(required=True)
    montant = Amount(required=True)
    produits = lines(PricedLine)


@routes.post("/recus")
@barrier.do
def send() -> tuple[dict[str, Any], int]:
    receipt = read_body(ReceiptBody())
    if db.session.scalar(
        select(clients_without_address).where(clients_without_address.c.client_id == receipt["client_id"])
    ):
        raise Refused(409, "No address", f"Client {receipt['client_id']} has no address to send a receipt to")
    # The receipt's id is computed from the idempotency key, so a repeated call overwrites the file that a crash left.
    receipt_id = str(uuid5(NAMESPACE_URL, str(IdempotencyKey.of_request(Direction.DO))))
    file_name = f"recu-{receipt_id}.txt"
    row = {"commande_id": receipt["commande_id"], "montant": receipt["montant"]}
    db.session.execute(insert(receipts).values(recu_id=receipt_id, fichier=file_name, **row))
    _put(current_app.config["OUTBOX"] / file_name, "\n".join(_document(receipt_id, receipt)) + "\n")
    return {"recu_id": receipt_id, "fichier": file_name}, 201


routes.get("/recus/outcome")(barrier.outcome)


def balance() -> dict[str, Any]:
    count, total = db.session.execute(select(func.count(), func.coalesce(func.sum(receipts.c.montant), 0))).one()
    return {"total": on_the_wire(int(total)), "count": count}


def _document(receipt_id: str, receipt: dict[str, Any]) -> Iterator[str]:
    yield f"REÇU {receipt_id}"
    yield ""
    yield f"Date      {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    yield f"Commande  {receipt['commande_id']}"
    yield f"Client    {receipt['client_id']}"
    yield ""
    for line in receipt["produits"]:
        price, total = on_the_wire(line["prix"]), on_the_wire(line["prix"] * line["quantite"])
        yield f"{line['quantite']:>6} x {line['produit_id']:<36} {price:>12.2f} {total:>14.2f}"
    yield "-" * 73
    yield f"{'Total':<58} {on_the_wire(receipt['montant']):>14.2f}"


def _put(file: Path, text: str) -> None:
    """Write a file atomically and durably, so that a reader never sees half a receipt."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as document:
        document.write(text)
        document.flush()
        os.fsync(document.fileno())
    temporary.replace(file)


RECEIPTS = Participant(name="recus", db=db, barrier=barrier, routes=routes, balance=balance)
