"""What return_saga v1 brought back, in the books of the stock and of the client's account.

Its calls did not say of which purchase the goods and the money came. So nobody knows what is left of a purchase that
was made before such a return: to undo it could move the units and pay the money of the return a second time.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, Column, Connection, ForeignKey, Select, String, Table, func, insert, select

from participants.database import FILL
from participants.key import Direction, Key
from participants.ledger import Ledger, State
from participants.problem import Refused
from participants.wire import LONGEST_TEXT

#: What a person does about an undo that is refused. A return of version 2 is right in every book, for it names the
#: purchase.
ADVICE = "Return what is left of this sale with return_saga, or move it by hand; then resolve this step"


@dataclass(frozen=True, kw_only=True)
class Returned:
    """What one v1 call brought back: units of a product, or cents of a client, with its key in the ledger."""

    cle: str
    objet: str
    quantite: int


Answered = Iterator[tuple[str, dict[str, Any]]]


class V1Returns:
    """The table of v1 returns. It is filled once, when it is created: no release since then makes such a return.

    `read` picks the v1 returns out of the actions in the ledger, each with its key and its reply.
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

    def since(self, purchase: Key, objets: Collection[str] | Select[tuple[str]]) -> dict[str, int]:
        """Return how much of each object came back after the purchase first did something here."""
        done = self._ledger
        began = select(func.min(done.c.at)).where(done.c.saga_id == purchase.saga_id, done.c.direction == Direction.DO)
        query = (
            select(self.table.c.objet, func.sum(self.table.c.quantite))
            .join(done, done.c.key == self.table.c.cle)
            # A v1 return that was undone has taken its units and its money back.
            .where(self.table.c.objet.in_(objets), done.c.state == State.DONE, done.c.at >= began.scalar_subquery())
            .group_by(self.table.c.objet)
            .order_by(self.table.c.objet)
        )
        return {objet: int(quantite) for objet, quantite in self._session.execute(query)}

    def _fill(self, connection: Connection) -> None:
        ledger = self._ledger
        done = select(ledger.c.key, ledger.c.reply).where(
            ledger.c.direction == Direction.DO, ledger.c.state == State.DONE
        )
        answered = ((row.key, row.reply) for row in connection.execute(done) if row.reply)
        rows = [vars(returned) for returned in self._read(connection, answered)]
        if rows:
            connection.execute(insert(self.table), rows)


def refusal(found: str) -> Refused:
    detail = f"{found} by return_saga v1, whose books do not say of which purchase. {ADVICE}"
    return Refused(409, "Returned", detail)
