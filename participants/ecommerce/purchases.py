"""The shop's own record of its purchases and returns."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, BigInteger, Boolean, Column, DateTime, RowMapping, String, Table, func, select, update

from participants.barrier import WRITING, Barrier, insert_new

db = SQLAlchemy()
barrier = Barrier(db)

#: `montant` and the prices in `produits` are in cents. `retour_de`: the purchase that this row returns. `ralentis`: the
#: participants that are slow until this order has ended. `clos`: true when the order has ended and its cart is empty.
purchases_table = Table(
    "achats",
    db.metadata,
    Column("saga_id", String(36), primary_key=True),
    Column("cle", String(100), unique=True, nullable=False),
    Column("client_id", BigInteger, nullable=False),
    Column("produits", JSON, nullable=False),
    Column("montant", BigInteger, nullable=False),
    Column("retour_de", String(36), index=True),
    Column("moment", DateTime(timezone=True), nullable=False),
    Column("ralentis", JSON),
    Column("clos", Boolean),
)

#: The orders that are runs of experiments. `reponse`: what the visitor has guessed. `solde`: the client's balance
#: before, in cents. `sagas`: the ids of the sagas in the answers to the requests of the run.
experiments_table = Table(
    "experiences",
    db.metadata,
    Column("saga_id", String(36), primary_key=True),
    Column("nom", String(50), nullable=False),
    Column("reponse", String(50), nullable=False),
    Column("solde", BigInteger, nullable=False),
    Column("sagas", JSON, nullable=False),
)

Purchase = dict[str, Any]
#: The most purchases of one look for ends; an order that is stuck stays open until a person has decided.
_MOST_OPEN = 50


def record(saga_id: UUID, key: str, **values: Any) -> None:
    """Record a purchase or a return; a repeated call changes nothing."""
    with db.session.begin():
        connection = db.session.connection(execution_options=WRITING)
        insert_new(connection, purchases_table, saga_id=str(saga_id), cle=key, moment=datetime.now(UTC), **values)


def record_experiment(saga_id: UUID, **values: Any) -> None:
    with db.session.begin():
        connection = db.session.connection(execution_options=WRITING)
        insert_new(connection, experiments_table, saga_id=str(saga_id), **values)


def experiment_of(saga_id: UUID) -> dict[str, Any] | None:
    """Return the run of an experiment that made this order; None: it is no experiment."""
    with db.session.begin():
        query = select(experiments_table).where(experiments_table.c.saga_id == str(saga_id))
        row = db.session.execute(query).mappings().one_or_none()
        return dict(row) if row else None


def of_key(key: str) -> UUID | None:
    with db.session.begin():
        saga_id = db.session.scalar(select(purchases_table.c.saga_id).where(purchases_table.c.cle == key))
    return UUID(saga_id) if saga_id else None


def find(saga_id: UUID) -> Purchase | None:
    with db.session.begin():
        row = (
            db.session.execute(select(purchases_table).where(purchases_table.c.saga_id == str(saga_id)))
            .mappings()
            .one_or_none()
        )
        return _read(row) if row else None


def latest_of(client_id: int) -> Purchase | None:
    found = _newest(
        select(purchases_table)
        .where(purchases_table.c.client_id == client_id, purchases_table.c.retour_de.is_(None))
        .limit(1)
    )
    return found[0] if found else None


def latest(limit: int = 50) -> Sequence[Purchase]:
    return _newest(select(purchases_table).where(purchases_table.c.retour_de.is_(None)).limit(limit))


def returns_of(saga_id: UUID) -> Sequence[Purchase]:
    return _newest(select(purchases_table).where(purchases_table.c.retour_de == str(saga_id)))


def still_open() -> Sequence[Purchase]:
    """Return the purchases whose end the shop has not seen, the newest first."""
    query = select(purchases_table).where(purchases_table.c.retour_de.is_(None), purchases_table.c.clos.is_not(True))
    return _newest(query.limit(_MOST_OPEN))


def change(saga_id: str, **values: Any) -> None:
    with db.session.begin():
        connection = db.session.connection(execution_options=WRITING)
        connection.execute(update(purchases_table).where(purchases_table.c.saga_id == saga_id).values(values))


def balance() -> dict[str, Any]:
    query = select(func.count(), func.count(purchases_table.c.retour_de))
    placed, returns = db.session.execute(query).one()
    return {"achats": placed - returns, "retours": returns}


def _newest(query: Any) -> list[Purchase]:
    with db.session.begin():
        return [_read(row) for row in db.session.execute(query.order_by(purchases_table.c.moment.desc())).mappings()]


def _read(row: RowMapping) -> Purchase:
    # SQLite returns times without a time zone. All stored times are in UTC.
    at = row["moment"]
    return {**row, "moment": at if at.tzinfo else at.replace(tzinfo=UTC)}
