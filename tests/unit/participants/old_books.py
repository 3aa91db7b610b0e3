"""The databases of stock and client as release 0d18086 wrote them: a return does not name its purchase."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    insert,
    update,
)

from participants.database import driver_url

Books = TypeVar("Books", bound="OldBooks")
START = datetime(2026, 1, 1, tzinfo=UTC)


def _key(name: str, length: int) -> Column[str]:
    return Column(name, String(length), primary_key=True)


def _numbers(*names: str) -> Iterator[Column[int]]:
    return (Column(name, BigInteger, nullable=False) for name in names)


def _ledger(metadata: MetaData) -> Table:
    texts = (Column("saga_id", String(100), index=True), Column("step", String(100)), Column("direction", String(4)))
    done = (Column("state", String(10)), Column("epoch", BigInteger), Column("fingerprint", String(64)))
    reply = (Column("request", JSON), Column("status", Integer), Column("reply", JSON))
    at = Column("at", DateTime(timezone=True))
    return Table("barrier_ledger", metadata, _key("key", 210), *texts, *done, *reply, at)


class OldBooks:
    """Writes rows as release 0d18086 wrote them. Each action is one minute later than the previous action."""

    def __init__(self, connection: Connection, metadata: MetaData, ledger: Table) -> None:
        self._connection, self._ledger, self._minutes = connection, ledger, count()
        metadata.create_all(connection)

    def _add(self, table: Table, **values: Any) -> None:
        self._connection.execute(insert(table).values(values))

    def _done(self, saga: str, step: str, request: dict[str, Any], reply: dict[str, Any]) -> None:
        key = {"key": f"{saga}/{step}/do", "saga_id": saga, "step": step, "direction": "do", "state": "done"}
        at = START + timedelta(minutes=next(self._minutes))
        self._add(self._ledger, **key, fingerprint=step, request=request, status=200, reply=reply, at=at)

    def undone(self, key: str) -> None:
        change = update(self._ledger).where(self._ledger.c.key == key).values(state="undone")
        self._connection.execute(change)


class OldStock(OldBooks):
    metadata = MetaData()
    ledger = _ledger(metadata)
    produits = Table("produits", metadata, _key("produit_id", 200), *_numbers("initial", "en_main", "reserve", "vendu"))
    reservations = Table("reservations", metadata, _key("reservation_id", 200), Column("etat", String(10)))
    lignes = Table(
        "reservation_lignes",
        metadata,
        _key("reservation_id", 200),
        _key("produit_id", 200),
        Column("quantite", BigInteger),
    )

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, self.metadata, self.ledger)
        for produit_id in ("456", "101"):
            self._add(self.produits, produit_id=produit_id, initial=100, en_main=100, reserve=0, vendu=0)

    def reserve(self, saga: str, quantite: int, produit_id: str = "456") -> None:
        line = {"produit_id": produit_id, "quantite": quantite}
        self._move(**line, en_main=-1, reserve=1)
        self._add(self.reservations, reservation_id=f"{saga}-r", etat="reservee")
        self._add(self.lignes, reservation_id=f"{saga}-r", **line)
        self._done(saga, "reserver", {"produits": [line]}, {"reservation_id": f"{saga}-r", "produits": [line]})

    def sell(self, saga: str, quantite: int, produit_id: str = "456") -> None:
        self.reserve(saga, quantite, produit_id)
        self._move(quantite, produit_id, reserve=-1, vendu=1)
        self._turn(saga, "vendue")
        self._done(saga, "vendre", {"reservation_id": f"{saga}-r"}, {"reservation_id": f"{saga}-r", "etat": "vendue"})

    def undo_sale(self, saga: str, quantite: int, produit_id: str = "456") -> None:
        self._move(quantite, produit_id, vendu=-1, reserve=1)
        self._turn(saga, "reservee")
        self.undone(f"{saga}/vendre/do")

    def bring_back(self, saga: str, quantite: int, produit_id: str = "456") -> None:
        line = {"produit_id": produit_id, "quantite": quantite}
        self._move(**line, vendu=-1, en_main=1)
        self._done(saga, "remettre", {"produits": [line]}, {"produits": [line]})

    def _turn(self, saga: str, etat: str) -> None:
        of_saga = self.reservations.c.reservation_id == f"{saga}-r"
        self._connection.execute(update(self.reservations).where(of_saga).values(etat=etat))

    def _move(self, quantite: int, produit_id: str, **ways: int) -> None:
        values = {name: self.produits.c[name] + way * quantite for name, way in ways.items()}
        self._connection.execute(update(self.produits).where(self.produits.c.produit_id == produit_id).values(values))


class OldClient(OldBooks):
    metadata = MetaData()
    ledger = _ledger(metadata)
    comptes = Table("comptes", metadata, Column("client_id", BigInteger, primary_key=True), Column("solde", BigInteger))
    paiements = Table(
        "paiements", metadata, _key("paiement_id", 36), *_numbers("client_id", "montant"), Column("rembourse", Boolean)
    )
    credits = Table(
        "credits", metadata, _key("credit_id", 36), *_numbers("client_id", "montant"), Column("annule", Boolean)
    )

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, self.metadata, self.ledger)
        for client_id in (4, 5):
            self._add(self.comptes, client_id=client_id, solde=100_00)

    def pay(self, saga: str, euros: int, client_id: int = 4) -> None:
        self._give(client_id, -euros)
        paid = {"paiement_id": f"{saga}-p", "client_id": client_id, "montant": euros * 100, "rembourse": False}
        self._add(self.paiements, **paid)
        self._done(saga, "payer", {"montant": euros}, {"paiement_id": f"{saga}-p", "montant": euros, "solde": 0})

    def credit(self, saga: str, euros: int, client_id: int = 4) -> None:
        self._give(client_id, euros)
        credited = {"credit_id": f"{saga}-c", "client_id": client_id, "montant": euros * 100, "annule": False}
        self._add(self.credits, **credited)
        self._done(saga, "crediter", {"montant": euros}, {"credit_id": f"{saga}-c", "montant": euros, "solde": 0})

    def _give(self, client_id: int, euros: int) -> None:
        solde = self.comptes.c.solde + euros * 100
        self._connection.execute(update(self.comptes).where(self.comptes.c.client_id == client_id).values(solde=solde))


@contextmanager
def old_books(kind: type[Books], url: str) -> Iterator[Books]:
    engine = create_engine(driver_url(url))
    with engine.begin() as connection:
        yield kind(connection)
    engine.dispose()
