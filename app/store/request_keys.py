"""The Idempotency-Keys of requests that have started a saga.

A trigger of the database inserts a key together with its saga, and deletes it together with its saga. With a retention
of its own (`saga prune --keys-days`), a key stays longer than its saga, or becomes free while the saga is still there.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, delete, insert, select, tuple_, update
from sqlalchemy import Engine as Database

from app.store.citus import is_distributed
from app.store.database import DAY_S, in_seconds
from app.store.instance import Instance
from app.store.models import RequestKeyRow, SagaRow
from app.store.transactions import atomic
from machines.statuses import FINISHED

_KEY, _SAGA = RequestKeyRow.__table__, SagaRow.__table__
#: Number of keys that are read and deleted by one transaction.
BATCH = 500
#: The columns of a saga, all None when it was deleted, and those of its key.
_FOUND: Select[Any] = select(
    *_SAGA.c,
    _KEY.c.key,
    _KEY.c.saga_id,
    _KEY.c.outlives_saga,
    _KEY.c.definition.label("key_definition"),
    _KEY.c.started_by.label("key_started_by"),
).join_from(_KEY, _SAGA, _SAGA.c.id == _KEY.c.saga_id, isouter=True)


def find(database: Database, keys: Sequence[str]) -> Sequence[Row[Any]]:
    """Return a row for each of these keys that is taken. keys: in the form in which they are stored."""
    with database.connect() as connection:
        return connection.execute(_FOUND.where(_KEY.c.key.in_(keys))).all()


def add(connection: Connection, saga: Instance, created_s: float) -> None:
    """Insert the key of a saga that the same transaction inserts. Only a distributed database has no trigger for it.

    created_s: when the saga was created, in seconds from now.
    """
    of_saga = {"definition": saga.definition.name, "started_by": saga.started_by, "tenant": saga.tenant}
    connection.execute(insert(_KEY).values(key=saga.key, saga_id=saga.id, at=in_seconds(created_s), **of_saga))


def free(connection: Connection, saga_ids: Sequence[UUID]) -> None:
    """Delete the keys of sagas that the same transaction deletes, as the trigger does elsewhere."""
    connection.execute(delete(_KEY).where(_KEY.c.saga_id.in_(saga_ids), _KEY.c.outlives_saga.is_(False)))


def lock(connection: Connection, key: str) -> bool:
    """Keep a key from being deleted until the end of the transaction. Return False when it is not there."""
    found = select(_KEY.c.key).where(_KEY.c.key == key).with_for_update(read=True, key_share=True)
    return connection.execute(found).first() is not None


def outlive(connection: Connection, saga_ids: Collection[UUID], days: float) -> None:
    """Let the keys of these sagas stay that are younger than this, although the sagas are deleted next."""
    of_sagas = select(_SAGA.c.idempotency_key).where(_SAGA.c.id.in_(saga_ids), _SAGA.c.idempotency_key.is_not(None))
    young = (_KEY.c.key.in_(of_sagas), _KEY.c.saga_id.in_(saga_ids), _KEY.c.at >= in_seconds(-days * DAY_S))
    connection.execute(update(_KEY).where(*young).values(outlives_saga=True))


def free_old(database: Database, days: float) -> Iterator[int]:
    """Delete the keys that are older than this, the oldest first, except those of unfinished sagas.

    Yield the number of deleted keys after each batch. A key stays until the next time when a transaction has locked it
    or its saga now: so no batch waits for another transaction.
    """
    rows, freed = _free_after(database, days, None)
    while rows:
        yield freed
        rows, freed = _free_after(database, days, (rows[-1].at, rows[-1].key))


def _free_after(database: Database, days: float, after: tuple[datetime, str] | None) -> tuple[Sequence[Row[Any]], int]:
    """Delete keys of one batch. Return the rows of the batch, and the number of deleted keys."""
    old = select(_KEY.c.key, _KEY.c.saga_id, _KEY.c.at).where(_KEY.c.at < in_seconds(-days * DAY_S))
    if after is not None:
        old = old.where(tuple_(_KEY.c.at, _KEY.c.key) > after)
    old = old.order_by(_KEY.c.at, _KEY.c.key).limit(BATCH).with_for_update(skip_locked=True)
    with atomic(database) as connection:
        rows = connection.execute(old).all()
        there = select(_SAGA.c.id).where(_SAGA.c.id.in_([row.saga_id for row in rows]))
        # The sagas are locked, too: a replica of a release before migration 0027 locks the saga that has a key.
        ended = there.where(_SAGA.c.status.in_(FINISHED))
        if not is_distributed(database):
            ended = ended.with_for_update(skip_locked=True)
        kept = set(connection.scalars(there)) - set(connection.scalars(ended))
        freed = [row.key for row in rows if row.saga_id not in kept]
        connection.execute(delete(_KEY).where(_KEY.c.key.in_(freed)))
    return rows, len(freed)
