"""Clients' accounts: who pays, and gets his money back.

A credit for goods that came back is part of the payment of their purchase: credits and refund together never exceed
what was paid, in whatever order they come and are undone.
"""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from flask import Blueprint
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    Select,
    String,
    Table,
    false,
    func,
    insert,
    select,
    update,
)

from participants.barrier import Barrier, Done, Refused
from participants.database import SAGA, insert_new
from participants.key import Direction, Key
from participants.participant import Participant
from participants.v1_returns import Answered, Returned, V1Returns, refusal
from participants.wire import CLIENT_ID, Amount, Body, Identifier, on_the_wire, read_body

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
    Column(SAGA, String(100), index=True),
)
#: What a client gets for goods he brought back. `paiement_id` is empty for a credit of return_saga v1.
credits_accordes = Table(
    "credits",
    db.metadata,
    Column("credit_id", String(36), primary_key=True),
    Column("client_id", BigInteger, nullable=False),
    Column("montant", BigInteger, nullable=False),
    Column("annule", Boolean, nullable=False, default=False),
    Column("paiement_id", String(36), index=True),
)


def _v1_credits(connection: Connection, answered: Answered) -> Iterator[Returned]:
    columns = (credits_accordes.c.credit_id, credits_accordes.c.client_id, credits_accordes.c.montant)
    of_no_payment = select(*columns).where(credits_accordes.c.paiement_id.is_(None))
    found = {row.credit_id: row for row in connection.execute(of_no_payment)}
    for cle, reply in answered:
        credit = found.get(reply.get("credit_id"))
        if credit is not None:
            yield Returned(cle=cle, objet=str(credit.client_id), quantite=credit.montant)


v1_credits = V1Returns(db, barrier.ledger, _v1_credits)
reglages = Table(
    "reglages",
    db.metadata,
    Column("nom", String(50), primary_key=True),
    Column("valeur", BigInteger, nullable=False),
)
_opening_balance = select(reglages.c.valeur).where(reglages.c.nom == "solde_ouverture").scalar_subquery()


class Montant(Body):
    montant = Amount(required=True)


class Credit(Montant):
    """`achat`: the purchase whose goods came back, as the sale's return names it."""

    achat = Identifier(required=True)


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
    row[SAGA] = Key.of_request(Direction.DO).saga_id
    db.session.execute(insert(paiements).values(row))
    return {"paiement_id": paiement_id, "montant": on_the_wire(montant), "solde": on_the_wire(solde)}, 201


@routes.post(f"/{CLIENT_ID}/rembourser")
@barrier.undo
def rembourser(done: Done, client_id: int) -> dict[str, Any]:  # noqa: ARG001 - the payment knows who paid
    """Pay back what is left of the payment: all but what was credited for goods that came back."""
    paiement_id = done.reply["paiement_id"]
    paiement = _payment(paiements.c.paiement_id == paiement_id)
    assert paiement is not None, "what was paid is written down"
    payer_id = paiement["client_id"]
    credited = v1_credits.since(Key.of_request(Direction.UNDO), [str(payer_id)])
    if credited:
        raise refusal(f"Client {payer_id} got {on_the_wire(credited[str(payer_id)]):.2f} back")
    db.session.execute(update(paiements).where(paiements.c.paiement_id == paiement_id).values(rembourse=True))
    montant = paiement["reste"]
    solde = _add(payer_id, montant)
    assert solde is not None, "more money never lacks"
    return {"paiement_id": paiement_id, "montant": on_the_wire(montant), "solde": on_the_wire(solde)}


@routes.post(f"/{CLIENT_ID}/crediter")
@barrier.do
def crediter(client_id: int) -> tuple[dict[str, Any], int]:
    credit = read_body(Credit())
    montant, achat = credit["montant"], credit["achat"]
    paiement = _payment(paiements.c[SAGA] == achat, paiements.c.client_id == client_id)
    if paiement is None:
        raise Refused(409, "Not paid", f"Client {client_id} has paid nothing for purchase {achat}")
    if montant > paiement["reste"]:
        detail = f"{on_the_wire(montant):.2f} asked, {on_the_wire(paiement['reste']):.2f} left of what was paid"
        raise Refused(409, "Too much money", detail, maximum=on_the_wire(paiement["reste"]))
    solde = _add(client_id, montant)
    assert solde is not None, "more money never lacks"
    credit_id = str(uuid4())
    row = {"credit_id": credit_id, "client_id": client_id, "montant": montant, "paiement_id": paiement["paiement_id"]}
    db.session.execute(insert(credits_accordes).values(row))
    return {"credit_id": credit_id, "montant": on_the_wire(montant), "solde": on_the_wire(solde)}, 201


@routes.post(f"/{CLIENT_ID}/crediter/annuler")
@barrier.undo
def reprendre(done: Done, client_id: int) -> dict[str, Any]:  # noqa: ARG001 - the credit knows who got it
    credit_id = done.reply["credit_id"]
    credit = db.session.execute(select(credits_accordes).where(credits_accordes.c.credit_id == credit_id)).one()
    # The payment is locked first, as for a credit: else a refund could overlook that this credit ends.
    paiement = _payment(paiements.c.paiement_id == credit.paiement_id)
    db.session.execute(update(credits_accordes).where(credits_accordes.c.credit_id == credit_id).values(annule=True))
    credited, montant = credit.client_id, credit.montant
    # Of a payment that was paid back the refund left this credit out: the client keeps the money, as a refund.
    solde = _add(credited, 0 if paiement is not None and paiement["rembourse"] else -montant)
    if solde is None:
        raise Refused(402, "Spent", f"Client {credited} has less than the {on_the_wire(montant):.2f} he was given")
    return {"credit_id": credit_id, "montant": on_the_wire(montant), "solde": on_the_wire(solde)}


def balance() -> dict[str, Any]:
    """Return what was paid and what was paid back. The credits of a payment that was paid back are part of it."""
    debits = _sum(select(func.sum(paiements.c.montant)))
    paid_back = _sum(select(func.sum(paiements.c.montant)).where(paiements.c.rembourse))
    its_payment = paiements.c.paiement_id == credits_accordes.c.paiement_id
    of_payments = select(func.sum(credits_accordes.c.montant)).join(paiements, its_payment, isouter=True)
    credited = _sum(of_payments.where(~credits_accordes.c.annule, ~func.coalesce(paiements.c.rembourse, false())))
    return {"debits": on_the_wire(debits), "remboursements": on_the_wire(paid_back + credited)}


def _payment(*where: ColumnElement[bool]) -> dict[str, Any] | None:
    """Return the payment, and in `reste` what is left of it; no other call changes either until this one ends."""
    # SQLite has no row locks and needs none: a transaction that writes is alone there.
    query = select(paiements).where(*where).order_by(paiements.c.paiement_id).limit(1)
    paiement = db.session.execute(query.with_for_update()).mappings().one_or_none()
    if paiement is None:
        return None
    stands = (credits_accordes.c.paiement_id == paiement["paiement_id"]) & ~credits_accordes.c.annule
    credited = _sum(select(func.sum(credits_accordes.c.montant)).where(stands))
    return {**paiement, "reste": 0 if paiement["rembourse"] else paiement["montant"] - credited}


def _sum(query: Select[tuple[Any]]) -> int:
    return int(db.session.scalar(query) or 0)


def _add(client_id: int, montant: int) -> int | None:
    """Give the new balance, or nothing when it would be below zero. One statement: no other payer in between."""
    insert_new(db.session.connection(), comptes, client_id=client_id, solde=_opening_balance)
    solde = comptes.c.solde + montant
    added = update(comptes).where(comptes.c.client_id == client_id, solde >= 0).values(solde=solde)
    return db.session.execute(added.returning(comptes.c.solde)).scalar_one_or_none()


CLIENT = Participant(name="client", db=db, barrier=barrier, routes=routes, balance=balance)
