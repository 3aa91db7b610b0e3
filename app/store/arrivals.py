"""Signals and answers that arrive for sagas. The writer locks the saga's row first, so no commit can miss them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, bindparam, case, insert, or_, select, update
from sqlalchemy import Engine as Database

from app.store.audit import Entry, append
from app.store.data_keys import DataKeys, Sealer
from app.store.database import UtcDateTime, db_now, seconds_until
from app.store.instance import search_text
from app.store.models import UNFINISHED, ArrivalRow, SagaRow
from app.store.transactions import atomic
from machines.sealed import is_sealed
from machines.statuses import Status

_ARRIVAL, _SAGA = ArrivalRow.__table__, SagaRow.__table__
_FIND = select(_ARRIVAL).where(_ARRIVAL.c.saga_id == bindparam("saga_id"), _ARRIVAL.c.name == bindparam("signal"))
_WAITS = _SAGA.c.status == Status.WAITING.value
#: A signal releases a waiting saga from the process that holds the saga. That process may be about to commit the end of
#: the wait or a person's request; the new version fences this commit. No call with an effect is in flight in a waiting
#: state. A saga in another state stays with its process: the commit that enters the waiting state sees the signal.
#: An answer to a stuck step also fences a person's request that was decided without the answer.
_DECIDES = _SAGA.c.status.in_((Status.WAITING.value, Status.STUCK.value))
_ARRIVED = {
    "arrived": _SAGA.c.arrived + 1,
    "version": _SAGA.c.version + case((_DECIDES, 1), else_=0),
    "owner": case((_WAITS, None), else_=_SAGA.c.owner),
    "due_at": case((_WAITS, db_now()), else_=_SAGA.c.due_at),
}
_UNTIL = select(seconds_until(bindparam("moment", type_=UtcDateTime())))


@dataclass(frozen=True, kw_only=True)
class Signal:
    """A signal as it is sent, or the answer to a step (see app.engine.answers)."""

    name: str
    body: Mapping[str, Any]
    #: Principal that sends the signal.
    sender: str
    #: Idempotency-Key of the request; None: it has none.
    key: str | None = None


class Arrivals:
    """The stored signals of all sagas, and the database's clock for waits until a date."""

    def __init__(self, database: Database, keys: DataKeys | None = None) -> None:
        self._database, self._keys = database, keys or DataKeys(database)

    def add(
        self, saga_id: UUID, signal: Signal, admit: Callable[[Row[Any] | None, Row[Any] | None], None],
        entry: Entry | None = None,
    ) -> None:  # fmt: skip
        """Store a signal. If the saga waits for it, make the saga due. Do nothing when the signal arrived earlier.

        admit: a function that raises an error for a signal that is refused. Its arguments are the saga's row, which
        is locked during the call, and the earlier signal of the same name. Each is None when it does not exist.
        entry: the audit row of a person's signal, for the same transaction.
        """
        with atomic(self._database) as connection:
            saga = connection.execute(select(_SAGA).where(_SAGA.c.id == saga_id).with_for_update()).one_or_none()
            found = connection.execute(_FIND, {"saga_id": saga_id, "signal": signal.name}).one_or_none()
            known: Row[Any] | None = self._opened(found, connection)
            admit(saga, known)
            if known is not None:
                return
            values = {**vars(signal), "body": self._stored(signal.body, saga, connection)}
            connection.execute(insert(_ARRIVAL).values(saga_id=saga_id, at=db_now(), **values))
            connection.execute(update(_SAGA).where(_SAGA.c.id == saga_id).values(_ARRIVED))
            if entry is not None:
                append(connection, entry)

    def find(self, saga_id: UUID, name: str) -> Row[Any] | None:
        """Return the signal of this name that has arrived for the saga, or None."""
        with self._database.connect() as connection:
            found = connection.execute(_FIND, {"saga_id": saga_id, "signal": name}).one_or_none()
        opened: Row[Any] | None = self._opened(found)
        return opened

    def _stored(self, body: Mapping[str, Any], saga: Row[Any] | None, connection: Connection) -> Any:
        """Return what is stored of a body: sealed as a whole, because an answer has the reply with its secrets."""
        if saga is None or saga.data_key is None:
            return body
        return Sealer(self._keys.find(saga.data_key, saga.id, connection), saga.id, None).value(body)

    def _opened(self, row: Row[Any] | None, connection: Connection | None = None) -> Any:
        if row is None or not is_sealed(row.body):
            return row
        body = self._keys.opened(row.body, row.saga_id, connection)
        return SimpleNamespace(**{**row._mapping, "body": body})  # noqa: SLF001  documented by SQLAlchemy

    def receivers(self, definition: str, reference: str, signal: Signal) -> Sequence[Row[Any]]:
        """Return the sagas that a signal to a business number may mean, at most two.

        A saga that has received the same signal earlier, with its key, is the only one, although it may have ended.
        """
        same = and_(
            _ARRIVAL.c.saga_id == _SAGA.c.id,
            _ARRIVAL.c.name == signal.name, _ARRIVAL.c.key == signal.key, _ARRIVAL.c.sender == signal.sender,
        )  # fmt: skip
        had = _ARRIVAL.c.saga_id.is_not(None)
        columns: list[Any] = [*_SAGA.c, had.label("had")]
        found = select(*columns).join_from(_SAGA, _ARRIVAL, same, isouter=True)
        named = (_SAGA.c.definition == definition, _SAGA.c.order_ref == search_text(reference))
        with self._database.connect() as connection:
            rows = connection.execute(found.where(*named, or_(UNFINISHED, had)).order_by(had.desc()).limit(2)).all()
        return rows[:1] if rows and rows[0].had else rows

    def seconds_until(self, moment: datetime) -> float:
        """Return the seconds from now, on the database's clock, to the moment."""
        with self._database.connect() as connection:
            return float(connection.execute(_UNTIL, {"moment": moment}).scalar_one())
