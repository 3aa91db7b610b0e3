"""Events that are durable and still to be published."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Engine as Database
from sqlalchemy import Row, Table, delete, or_, select, update

from app.store.database import db_now, in_seconds
from app.store.models import JournalRow, OutboxRow, RelayRow, SagaRow
from machines.history import replies

_SAGA, _JOURNAL = SagaRow.__table__, JournalRow.__table__
_OUTBOX: Table = OutboxRow.__table__
_RELAY: Table = RelayRow.__table__


#: Query of moves, with the columns that their events are made from.
PUBLISHED = select(
    *(_JOURNAL.c[name] for name in ("saga_id", "seq", "at", "dest", "step", "reply", "reason", "event")),
    *(_SAGA.c[name] for name in ("definition", "definition_version", "data")),
).join_from(_JOURNAL, _SAGA, _SAGA.c.id == _JOURNAL.c.saga_id)

_WAITING = select(_OUTBOX.c.id).limit(1)
_BATCH = (
    PUBLISHED.add_columns(_OUTBOX.c.id)
    .join(_OUTBOX, (_OUTBOX.c.saga_id == _JOURNAL.c.saga_id) & (_OUTBOX.c.seq == _JOURNAL.c.seq))
    .order_by(_OUTBOX.c.id)
)


class Outbox:
    """Returns the stored events to one process at a time, because two publishers would mix up their order."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database, self._owner = database, owner

    def take(self, limit: int, lease_s: float) -> Sequence[Row[Any]]:
        """Return the oldest events; none while another process publishes.

        This process then has the exclusive right to publish for `lease_s` seconds.
        """
        free = or_(_RELAY.c.until < db_now(), _RELAY.c.owner == self._owner)
        mine = update(_RELAY).where(free).values(owner=self._owner, until=in_seconds(lease_s))
        with self._database.connect() as connection:
            if connection.execute(_WAITING).first() is None or connection.execute(mine).rowcount == 0:
                return []
            return connection.execute(_BATCH.limit(limit)).all()

    def replies(self, saga_id: UUID) -> Mapping[str, Any]:
        """Return the replies of a saga's steps, by step."""
        columns = (_JOURNAL.c[name] for name in ("trigger", "step", "direction", "reply"))
        with self._database.connect() as connection:
            rows = connection.execute(select(*columns).where(_JOURNAL.c.saga_id == saga_id).order_by(_JOURNAL.c.seq))
            return replies(rows.all())

    def published(self, ids: Iterable[int]) -> None:
        with self._database.connect() as connection:
            connection.execute(delete(_OUTBOX).where(_OUTBOX.c.id.in_(ids)))
