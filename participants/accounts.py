"""The clients' accounts: payments, refunds and credits.

A credit for returned goods pays back a part of the payment for these goods. The credits and the refund of a payment
together never exceed the payment, in whatever order the calls and their undos arrive.
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

from participants.barrier import Barrier, Direction, Done, IdempotencyKey, Refused, insert_new
from participants.database import SAGA
from participants.participant import Participant
from participants.payloads import CLIENT_ID, Amount, Body, Identifier, on_the_wire, read_body
from participants.v1_returns import Answered, Returned, V1Returns, refusal

db = SQLAlchemy()
barrier = Barrier(db)
routes = Blueprint("client", __name__)

#: All amounts are in cents.
accounts = Table(
    "comptes",
    db.metadata,
    Column("client_id", BigInteger, primary_key=True, autoincrement=False),
    Column("solde", BigInteger, CheckConstraint("solde >= 0"), nullable=False),
)
payments = Table(
    "paiements",
    db.metadata,
    Column("paiement_id", String(36), primary_key=True),
    Column("client_id", BigInteger, nullable=False),
    Column("montant", BigInteger, nullable=False),
    Column("rembourse", Boolean, nullable=False, default=False),
    Column(SAGA, String(100), index=True),
)
#: The credits for returned goods. `paiement_id` is null for a credit of return_saga v1.
credits_granted = Table(
    "credits",
    db.metadata,
    Column("credit_id", String(36), primary_key=True),
    Column("client_id", BigInteger, nullable=False),
    Column("montant", BigInteger, nullable=False),
    Column("annule", Boolean, nullable=False, default=False),
    Column("paiement_id", String(36), index=True),
)


def _v1_credits(connection: Connection, answered: Answered) -> Iterator[Returned]:
    columns = (credits_granted.c.credit_id, credits_granted.c.client_id, credits_granted.c.montant)
    of_no_payment = select(*columns).where(credits_granted.c.paiement_id.is_(None))
    found = {row.credit_id: row for row in connection.execute(of_no_payment)}
    for key, reply in answered:
        credit = found.get(reply.get("credit_id"))
        if credit is not None:
            yield Returned(key=key, subject=str(credit.client_id), quantity=credit.montant)


v1_credits = V1Returns(db, barrier.ledger, _v1_credits)
account_settings = Table(
    "reglages",
    db.metadata,
    Column("nom", String(50), primary_key=True),
    Column("valeur", BigInteger, nullable=False),
)
_opening_balance = (
    select(account_settings.c.valeur).where(account_settings.c.nom == "solde_ouverture").scalar_subquery()
)


class PaymentBody(Body):
    montant = Amount(required=True)


class CreditBody(PaymentBody):
    """The body of a credit.

    achat: the id of the purchase whose goods were returned. The reply to the announcement of the return has this id.
    """

    achat = Identifier(required=True)


@routes.get(f"/{CLIENT_ID}")
def read_balance(client_id: int) -> dict[str, Any]:
    new_balance = select(accounts.c.solde).where(accounts.c.client_id == client_id).scalar_subquery()
    known_or_opening = db.session.execute(select(func.coalesce(new_balance, _opening_balance))).scalar_one()
    return {"client_id": client_id, "solde": on_the_wire(known_or_opening)}


@routes.post(f"/{CLIENT_ID}/payer")
@barrier.do
def pay(client_id: int) -> tuple[dict[str, Any], int]:
    amount = read_body(PaymentBody())["montant"]
    new_balance = _add(client_id, -amount)
    if new_balance is None:
        detail = f"Client {client_id} has less than {on_the_wire(amount):.2f}"
        raise Refused(402, "Insufficient balance", detail)
    payment_id = str(uuid4())
    row = {"paiement_id": payment_id, "client_id": client_id, "montant": amount}
    row[SAGA] = IdempotencyKey.of_request(Direction.DO).saga_id
    db.session.execute(insert(payments).values(row))
    return {"paiement_id": payment_id, "montant": on_the_wire(amount), "solde": on_the_wire(new_balance)}, 201


@routes.post(f"/{CLIENT_ID}/rembourser")
@barrier.undo
def refund(done: Done, client_id: int) -> dict[str, Any]:  # noqa: ARG001 - the client is in the payment's row
    """Pay back the payment, less the credits for returned goods."""
    payment_id = done.reply["paiement_id"]
    payment = _payment(payments.c.paiement_id == payment_id)
    assert payment is not None, "the payment of a done action exists"
    payer_id = payment["client_id"]
    credited = v1_credits.since(IdempotencyKey.of_request(Direction.UNDO), [str(payer_id)])
    if credited:
        raise refusal(f"Client {payer_id} got {on_the_wire(credited[str(payer_id)]):.2f} back")
    db.session.execute(update(payments).where(payments.c.paiement_id == payment_id).values(rembourse=True))
    amount = payment["reste"]
    new_balance = _add(payer_id, amount)
    assert new_balance is not None, "a credit never fails for lack of money"
    return {"paiement_id": payment_id, "montant": on_the_wire(amount), "solde": on_the_wire(new_balance)}


@routes.post(f"/{CLIENT_ID}/crediter")
@barrier.do
def grant_credit(client_id: int) -> tuple[dict[str, Any], int]:
    credit = read_body(CreditBody())
    amount, purchase = credit["montant"], credit["achat"]
    payment = _payment(payments.c[SAGA] == purchase, payments.c.client_id == client_id)
    if payment is None:
        raise Refused(409, "Not paid", f"Client {client_id} has paid nothing for purchase {purchase}")
    if amount > payment["reste"]:
        detail = f"{on_the_wire(amount):.2f} asked, {on_the_wire(payment['reste']):.2f} left of what was paid"
        raise Refused(409, "Too much money", detail, maximum=on_the_wire(payment["reste"]))
    new_balance = _add(client_id, amount)
    assert new_balance is not None, "a credit never fails for lack of money"
    credit_id = str(uuid4())
    row = {"credit_id": credit_id, "client_id": client_id, "montant": amount, "paiement_id": payment["paiement_id"]}
    db.session.execute(insert(credits_granted).values(row))
    return {"credit_id": credit_id, "montant": on_the_wire(amount), "solde": on_the_wire(new_balance)}, 201


@routes.post(f"/{CLIENT_ID}/crediter/annuler")
@barrier.undo
def revoke_credit(done: Done, client_id: int) -> dict[str, Any]:  # noqa: ARG001 - the client is in the credit's row
    credit_id = done.reply["credit_id"]
    credit = db.session.execute(select(credits_granted).where(credits_granted.c.credit_id == credit_id)).one()
    # Lock the payment first. Otherwise a concurrent refund could miss that this credit is undone.
    payment = _payment(payments.c.paiement_id == credit.paiement_id)
    db.session.execute(update(credits_granted).where(credits_granted.c.credit_id == credit_id).values(annule=True))
    credited, amount = credit.client_id, credit.montant
    # A refund pays the payment back without its credits. So after a refund the client keeps the credited money.
    new_balance = _add(credited, 0 if payment is not None and payment["rembourse"] else -amount)
    if new_balance is None:
        raise Refused(402, "Spent", f"Client {credited} has less than the {on_the_wire(amount):.2f} he was given")
    return {"credit_id": credit_id, "montant": on_the_wire(amount), "solde": on_the_wire(new_balance)}


def balance() -> dict[str, Any]:
    """Return the sum of all payments, and the sum of all money that was paid back.

    A refunded payment counts with its whole amount, because its refund and its credits together are this amount.
    """
    debits = _sum(select(func.sum(payments.c.montant)))
    paid_back = _sum(select(func.sum(payments.c.montant)).where(payments.c.rembourse))
    its_payment = payments.c.paiement_id == credits_granted.c.paiement_id
    of_payments = select(func.sum(credits_granted.c.montant)).join(payments, its_payment, isouter=True)
    credited = _sum(of_payments.where(~credits_granted.c.annule, ~func.coalesce(payments.c.rembourse, false())))
    return {"debits": on_the_wire(debits), "remboursements": on_the_wire(paid_back + credited)}


def _payment(*where: ColumnElement[bool]) -> dict[str, Any] | None:
    """Return and lock a payment. `reste` is the part of the payment that is not paid back.

    Other calls for this payment wait until this call ends.
    """
    # SQLite has no row locks and needs none: only one transaction writes at a time.
    query = select(payments).where(*where).order_by(payments.c.paiement_id).limit(1)
    payment = db.session.execute(query.with_for_update()).mappings().one_or_none()
    if payment is None:
        return None
    valid = (credits_granted.c.paiement_id == payment["paiement_id"]) & ~credits_granted.c.annule
    credited = _sum(select(func.sum(credits_granted.c.montant)).where(valid))
    return {**payment, "reste": 0 if payment["rembourse"] else payment["montant"] - credited}


def _sum(query: Select[tuple[Any]]) -> int:
    return int(db.session.scalar(query) or 0)


def _add(client_id: int, amount: int) -> int | None:
    """Add to the balance with one atomic statement. Return the new balance, or None when it would be below zero."""
    insert_new(db.session.connection(), accounts, client_id=client_id, solde=_opening_balance)
    new_balance = accounts.c.solde + amount
    added = update(accounts).where(accounts.c.client_id == client_id, new_balance >= 0).values(solde=new_balance)
    return db.session.execute(added.returning(accounts.c.solde)).scalar_one_or_none()


ACCOUNTS = Participant(name="client", db=db, barrier=barrier, routes=routes, balance=balance)
