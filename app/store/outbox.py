"""Events that are durable and still to be published.

The sagas are divided into PARTS by their ids. One process at a time publishes the events of a part, because two
publishers would mix up the order of a saga's events. Different processes publish different parts at the same time.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Table, delete, func, or_, select, update
from sqlalchemy import Engine as Database

from app.store.citus import is_distributed
from app.store.database import db_now, in_seconds
from app.store.message_models import OutboxRow, RelayPartRow, RelayRow
from app.store.models import JournalRow, SagaRow
from machines.history import replies

_SAGA, _JOURNAL = SagaRow.__table__, JournalRow.__table__
_OUTBOX: Table = OutboxRow.__table__
_RELAY: Table = RelayRow.__table__
_PART: Table = RelayPartRow.__table__
#: Number of parts, and of the rows of the table `relay_part`. More processes than parts publish nothing.
PARTS = 8
#: Owner of the table `relay` while processes publish by parts.
BY_PARTS = "by parts"
_HEXADECIMAL = "0123456789abcdef"

#: Query of moves, with the columns that their events are made from.
PUBLISHED = select(
    *(_JOURNAL.c[name] for name in ("saga_id", "seq", "at", "dest", "step", "reply", "reason", "event")),
    *(_SAGA.c[name] for name in ("definition", "definition_version", "data", "parent_id")),
).join_from(_JOURNAL, _SAGA, _SAGA.c.id == _JOURNAL.c.saga_id)

_WAITING = select(_OUTBOX.c.id).limit(1)
_BATCH = PUBLISHED.add_columns(_OUTBOX.c.id).join(
    _OUTBOX, (_OUTBOX.c.saga_id == _JOURNAL.c.saga_id) & (_OUTBOX.c.seq == _JOURNAL.c.seq)
)


class Outbox:
    """Returns the stored events of a part to one process at a time."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database, self._owner = database, owner
        self._part: int | None = None  # the part that this process holds

    def take(self, limit: int, lease_s: float) -> Sequence[Row[Any]]:
        """Return the oldest events of the part whose event has waited longest; none while others publish all parts.

        This process then has the exclusive right to publish them, for `lease_s` seconds or until `give_back`.
        """
        until = in_seconds(lease_s)
        shared = or_(_RELAY.c.until < db_now(), _RELAY.c.owner == BY_PARTS)
        share = update(_RELAY).where(shared).values(owner=BY_PARTS, until=until)
        free = or_(_PART.c.until < db_now(), _PART.c.owner == self._owner)
        of_event = self._part_of(_OUTBOX.c.saga_id)
        first = select(_PART.c.id).join_from(_OUTBOX, _PART, _PART.c.id == of_event).where(free)
        first = first.order_by(*self._order).limit(1)
        with self._database.connect() as connection:
            if connection.execute(_WAITING).first() is None or connection.execute(share).rowcount == 0:
                return []
            if is_distributed(self._database):  # the events are on other servers than the parts
                chosen = connection.execute(first).scalar()
            else:
                # SKIP LOCKED, so that two processes that take a part at the same moment take two parts.
                chosen = first.with_for_update(of=_PART, skip_locked=True).scalar_subquery()
            hold = update(_PART).where(_PART.c.id == chosen, free).values(owner=self._owner, until=until)
            self._part = connection.execute(hold.returning(_PART.c.id)).scalar()
            if self._part is None:
                return []
            batch = _BATCH.where(of_event == self._part).order_by(*self._order)
            return connection.execute(batch.limit(limit)).all()

    @property
    def _order(self) -> tuple[ColumnElement[Any], ...]:
        """The order of the events. The servers of a distributed database count the ids each for itself."""
        return (_OUTBOX.c.at, _OUTBOX.c.id) if is_distributed(self._database) else (_OUTBOX.c.id,)

    def give_back(self) -> None:
        """Let any process publish the part that this process holds."""
        mine = (_PART.c.id == self._part) & (_PART.c.owner == self._owner)
        with self._database.connect() as connection:
            connection.execute(update(_PART).where(mine).values(owner=None, until=in_seconds(-1)))
        self._part = None

    def _part_of(self, saga_id: ColumnElement[UUID]) -> ColumnElement[int]:
        """Return the part of a saga: the last character of its id, as a number, modulo PARTS."""
        if self._database.dialect.name == "sqlite":
            return (func.instr(_HEXADECIMAL, func.substr(saga_id, -1)) - 1) % PARTS
        return func.get_byte(func.uuid_send(saga_id), 15) % PARTS

    def replies(self, saga_id: UUID) -> Mapping[str, Any]:
        """Return the replies of a saga's steps, by step."""
        columns = (_JOURNAL.c[name] for name in ("trigger", "step", "direction", "reply"))
        with self._database.connect() as connection:
            rows = connection.execute(select(*columns).where(_JOURNAL.c.saga_id == saga_id).order_by(_JOURNAL.c.seq))
            return replies(rows.all())

    def published(self, ids: Iterable[int]) -> None:
        with self._database.connect() as connection:
            connection.execute(delete(_OUTBOX).where(_OUTBOX.c.id.in_(ids)))
