"""Clients' accounts: who pays, and gets his money back."""

from typing import Any
from uuid import uuid4

from flask import Blueprint
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Select,
    String,
    Table,
    func,
    insert,
    select,
    update,
)

from participants.barrier import Barrier, Done, Refused
from participants.database import insert_new
from participants.participant import Participant
from participants.wire import CLIENT_ID, Amount, Body, on_the_wire, read_body

db = SQLAlchemy()
barrier = Barrier(db)
routes = Blueprint("client", __name__)

#: All amounts are in cents.
comptes = Table(
    "comptes",
    db.metadata,
    Column("client_id", BigInteger, primary_key=True, autoincrement=False),
    Column("solde", BigInteger, CheckConstraint("solde >= 0"), nullable=False),
)
paiements = Table(
    "paiements",
    db.metadata,
    Column("paiement_id", String(36), primary_key=True),
    Column("client_id", BigInteger, nullable=False),
    Column("montant", BigInteger, nullable=False),
    Column("rembourse", Boolean, nullable=False, default=False),
)
#: What a client gets for goods he brought back.
credits_accordes = Table(
    "credits",
    db.metadata,
    Column("credit_id", String(36), primary_key=True),
    Column("client_id", BigInteger, nullable=False),
    Column("montant", BigInteger, nullable=False),
    Column("annule", Boolean, nullable=False, default=False),
)
reglages = Table(
    "reglages",
    db.metadata,
    Column("nom", String(50), primary_key=True),
    Column("valeur", BigInteger, nullable=False),
)
_opening_balance = select(reglages.c.valeur).where(reglages.c.nom == "solde_ouverture").scalar_subquery()


class Montant(Body):
    montant = Amount(required=True)


@routes.get(f"/{CLIENT_ID}")
def lire(client_id: int) -> dict[str, Any]:
    solde = select(comptes.c.solde).where(comptes.c.client_id == client_id).scalar_subquery()
    known_or_opening = db.session.execute(select(func.coalesce(solde, _opening_balance))).scalar_one()
    return {"client_id": client_id, "solde": on_the_wire(known_or_opening)}


@routes.post(f"/{CLIENT_ID}/payer")
@barrier.do
def payer(client_id: int) -> tuple[dict[str, Any], int]:
    montant = read_body(Montant())["montant"]
    solde = _add(client_id, -montant)
    if solde is None:
        detail = f"Client {client_id} has less than {on_the_wire(montant):.2f}"
        raise Refused(402, "Insufficient balance", detail)
    paiement_id = str(uuid4())
    row = {"paiement_id": paiement_id, "client_id": client_id, "montant": montant}
    db.session.execute(insert(paiements).values(row))
    return {"paiement_id": paiement_id, "montant": on_the_wire(montant), "solde": on_the_wire(solde)}, 201


@routes.post(f"/{CLIENT_ID}/rembourser")
@barrier.undo
def rembourser(done: Done, client_id: int) -> dict[str, Any]:  # noqa: ARG001 - the payment knows who paid
    paiement_id = done.reply["paiement_id"]
    paid_back = (
        update(paiements)
        .where(paiements.c.paiement_id == paiement_id)
        .values(rembourse=True)
        .returning(paiements.c.client_id, paiements.c.montant)
    )
    payer, montant = db.session.execute(paid_back).one()
    solde = _add(payer, montant)
    assert solde is not None, "more money never lacks"
    return {"paiement_id": paiement_id, "montant": on_the_wire(montant), "solde": on_the_wire(solde)}


@routes.post(f"/{CLIENT_ID}/crediter")
@barrier.do
def crediter(client_id: int) -> tuple[dict[str, Any], int]:
    montant = read_body(Montant())["montant"]
    solde = _add(client_id, montant)
    assert solde is not None, "more money never lacks"
    credit_id = str(uuid4())
    row = {"credit_id": credit_id, "client_id": client_id, "montant": montant}
    db.session.execute(insert(credits_accordes).values(row))
    return {"credit_id": credit_id, "montant": on_the_wire(montant), "solde": on_the_wire(solde)}, 201


@routes.post(f"/{CLIENT_ID}/crediter/annuler")
@barrier.undo
def reprendre(done: Done, client_id: int) -> dict[str, Any]:  # noqa: ARG001 - the credit knows who got it
    credit_id = done.reply["credit_id"]
    taken_back = (
        update(credits_accordes)
        .where(credits_accordes.c.credit_id == credit_id)
        .values(annule=True)
        .returning(credits_accordes.c.client_id, credits_accordes.c.montant)
    )
    credited, montant = db.session.execute(taken_back).one()
    solde = _add(credited, -montant)
    if solde is None:
        raise Refused(402, "Spent", f"Client {credited} has less than the {on_the_wire(montant):.2f} he was given")
    return {"credit_id": credit_id, "montant": on_the_wire(montant), "solde": on_the_wire(solde)}


def balance() -> dict[str, Any]:
    debits = _sum(select(func.sum(paiements.c.montant)))
    paid_back = _sum(select(func.sum(paiements.c.montant)).where(paiements.c.rembourse))
    credited = _sum(select(func.sum(credits_accordes.c.montant)).where(~credits_accordes.c.annule))
    return {"debits": on_the_wire(debits), "remboursements": on_the_wire(paid_back + credited)}


def _sum(query: Select[tuple[Any]]) -> int:
    return int(db.session.scalar(query) or 0)


def _add(client_id: int, montant: int) -> int | None:
    """Give the new balance, or nothing when it would be below zero. One statement: no other payer in between."""
    insert_new(db.session.connection(), comptes, client_id=client_id, solde=_opening_balance)
    solde = comptes.c.solde + montant
    added = update(comptes).where(comptes.c.client_id == client_id, solde >= 0).values(solde=solde)
    return db.session.execute(added.returning(comptes.c.solde)).scalar_one_or_none()


CLIENT = Participant(name="client", db=db, barrier=barrier, routes=routes, balance=balance)
