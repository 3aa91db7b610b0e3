"""The returns of return_saga v1 in the tables of the stock and of the client accounts.

The calls of version 1 did not name the purchase. So the remaining goods and money of an earlier purchase are unknown.
An undo of that purchase could move the returned units a second time, and pay the returned money a second time.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, Column, Connection, ForeignKey, Select, String, Table, func, insert, select

from participants.barrier import Direction, IdempotencyKey, Ledger, Refused, State
from participants.database import FILL
from participants.payloads import LONGEST_TEXT

#: Advice to an operator about a refused undo. A return of return_saga v2 names its purchase, so all books stay correct.
ADVICE = "Return what is left of this sale with return_saga, or move it by hand; then resolve this step"


@dataclass(frozen=True, kw_only=True)
class Returned:
    """One return of version 1.

    key: the idempotency key of the call in the ledger.
    subject: the product or the client.
    quantity: units of the product, or cents of the client.
    """

    key: str
    subject: str
    quantity: int


Answered = Iterator[tuple[str, dict[str, Any]]]


class V1Returns:
    """The table of v1 returns. It is filled once, when it is created, because later releases make no such returns.

    read: the function that selects the v1 returns from the ledger's actions, given as pairs (key, reply).
    """

    def __init__(
        self, db: SQLAlchemy, ledger: Ledger, read: Callable[[Connection, Answered], Iterator[Returned]]
    ) -> None:
        self._session, self._ledger, self._read = db.session, ledger.table, read
        self.table = Table(
            "retours_v1",
            db.metadata,
            Column("cle", String(210), ForeignKey(self._ledger.c.key), primary_key=True),
            Column("objet", String(LONGEST_TEXT), primary_key=True, index=True),
            Column("quantite", BigInteger, nullable=False),
            info={FILL: self._fill},
        )

    def since(self, purchase: IdempotencyKey, subjects: Collection[str] | Select[tuple[str]]) -> dict[str, int]:
        """Return, by subject, the quantity returned since the first action of the purchase at this participant."""
        done = self._ledger
        began = select(func.min(done.c.at)).where(done.c.saga_id == purchase.saga_id, done.c.direction == Direction.DO)
        query = (
            select(self.table.c.objet, func.sum(self.table.c.quantite))
            .join(done, done.c.key == self.table.c.cle)
            # An undone v1 return does not count, because its undo has moved the units and the money back.
            .where(self.table.c.objet.in_(subjects), done.c.state == State.DONE, done.c.at >= began.scalar_subquery())
            .group_by(self.table.c.objet)
            .order_by(self.table.c.objet)
        )
        return {subject: int(quantity) for subject, quantity in self._session.execute(query)}

    def _fill(self, connection: Connection) -> None:
        ledger = self._ledger
        done = select(ledger.c.key, ledger.c.reply).where(
            ledger.c.direction == Direction.DO, ledger.c.state == State.DONE
        )
        answered = ((row.key, row.reply) for row in connection.execute(done) if row.reply)
        rows = [
            {"cle": it.key, "objet": it.subject, "quantite": it.quantity} for it in self._read(connection, answered)
        ]
        if rows:
            connection.execute(insert(self.table), rows)


def refusal(found: str) -> Refused:
    detail = f"{found} by return_saga v1, whose books do not say of which purchase. {ADVICE}"
    return Refused(409, "Returned", detail)
