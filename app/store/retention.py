"""Sagas that ended long ago. They are read for the archive and deleted with their journals, both in batches."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Table, and_, delete, exists, not_, or_, select, true, tuple_

from app.store import request_keys
from app.store import trees as trees_of
from app.store.citus import is_distributed
from app.store.database import DAY_S, db, in_seconds
from app.store.message_models import DeliveryRow, OutboxRow
from app.store.models import UNFINISHED, JournalRow, SagaRow
from app.store.months import Month
from app.store.old_months import kept_whole
from app.store.queries import step_started
from app.store.transactions import atomic
from machines.statuses import FINISHED

_SAGA = SagaRow.__table__
_OUTBOX: Table = OutboxRow.__table__
#: Number of sagas whose children are read by one statement.
_AT_ONCE = 500


def ended_before(days: float, limit: int) -> Sequence[SagaRow]:
    """Return the oldest sagas that ended at least `days` ago, and whose events and messages are all sent.

    A saga is also returned when one of its messages to webhooks is a dead letter. The children that a saga has started
    follow it (`trees`). So a saga is not returned while one of them has not ended, or has something to send. Nor is a
    saga whose whole month can soon be dropped, see `kept_whole`.
    """
    past, waits = in_seconds(-days * DAY_S), kept_whole(db.session.connection(), days)
    kept = _kept_ids() if is_distributed(db.engine) else select(_kept_trees().c.id)
    old = select(SagaRow).where(
        SagaRow.created_at < past,  # excludes no saga, but lets the database use the index on created_at
        SagaRow.updated_at < past,
        SagaRow.status.in_(FINISHED),
        SagaRow.parent_id.is_(None),
        SagaRow.id.not_in(kept),
        *(() if waits is None else (not_(SagaRow.id.between(*waits)),)),
    )
    return db.session.scalars(old.order_by(SagaRow.created_at, SagaRow.id).limit(limit)).all()


def _kept_trees() -> CTE:
    """Return the sagas that have something to send, the children that have not ended, and the sagas above them."""
    unfinished = and_(_SAGA.c.parent_id.is_not(None), UNFINISHED)
    kept = (
        select(_SAGA.c.id, _SAGA.c.parent_id)
        .where(or_(_has_to_send(_SAGA.c.id), unfinished))
        .cte("kept", recursive=True)
    )
    above = _SAGA.alias("above")
    return kept.union(select(above.c.id, above.c.parent_id).where(above.c.id == kept.c.parent_id))


def _kept_ids() -> set[UUID]:
    """Return the ids of `_kept_trees` on a distributed database."""
    unfinished = and_(_SAGA.c.parent_id.is_not(None), UNFINISHED)
    kept = list(db.session.scalars(select(_SAGA.c.id).where(unfinished)))
    for table, sends in ((OutboxRow, true()), (DeliveryRow, DeliveryRow.due_at.is_not(None))):
        kept += db.session.scalars(select(table.saga_id).where(sends).distinct()).all()
    return {*kept, *trees_of.above(db.session, kept)}


def _has_to_send(saga_id: ColumnElement[UUID]) -> ColumnElement[bool]:
    """Return the condition for sagas with an event or a message to a webhook that is still to be sent."""
    due = select(DeliveryRow.saga_id).where(DeliveryRow.due_at.is_not(None))
    return or_(saga_id.in_(select(OutboxRow.saga_id)), saga_id.in_(due))


def delete_orphans() -> int:
    """Delete the events whose moves are gone, because somebody has deleted sagas by hand. Return their number.

    Nothing could publish such an event, and the oldest one would count as the delay of all events.
    """
    of_move = (JournalRow.saga_id == OutboxRow.saga_id, JournalRow.seq == OutboxRow.seq)
    orphans = delete(_OUTBOX).where(~exists().where(*of_move))
    with db.engine.connect() as connection:
        return connection.execute(orphans).rowcount


def trees(roots: Sequence[SagaRow], batch: int) -> Iterator[Sequence[SagaRow]]:
    """Yield these sagas and all their children, each tree as a whole, about `batch` sagas at a time."""
    found: list[SagaRow] = []
    parents = _parents_among([root.id for root in roots])
    for root in roots:
        found.append(root)
        for child in descendants([root.id]) if root.id in parents else ():
            found.append(child)
            if len(found) >= batch:
                yield found
                found = []
        if len(found) >= batch:
            yield found
            found = []
    if found:
        yield found


def _parents_among(saga_ids: Sequence[UUID]) -> frozenset[UUID]:
    of_these = select(SagaRow.parent_id).where(SagaRow.parent_id.in_(saga_ids), SagaRow.parent_id.is_not(None))
    return frozenset(parent for parent in db.session.scalars(of_these.distinct()) if parent is not None)


def descendants(saga_ids: Sequence[UUID]) -> Iterator[SagaRow]:
    """Yield the children of these sagas, their children, and so on: each parent before its children."""
    while saga_ids:
        below = list[UUID]()
        for start in range(0, len(saga_ids), _AT_ONCE):
            children = select(SagaRow).where(
                SagaRow.parent_id.in_(saga_ids[start : start + _AT_ONCE]), SagaRow.parent_id.is_not(None)
            )
            ordered = children.order_by(SagaRow.parent_id, step_started(), SagaRow.child_number)
            for child in db.session.scalars(ordered):
                below.append(child.id)
                yield child
        saga_ids = below


def delete_ended(saga_ids: Sequence[UUID], keys_days: float | None = None) -> int:
    """Delete these sagas with all their children in one transaction, except those that `ended_before` would not return.

    Return the number of deleted sagas. A saga that had ended can be unfinished now, because a person has compensated
    the completed saga, or it has ended again and has something to send. So the parents are locked first. Their children
    move with them only. keys_days: keys that are younger than this stay; None: the keys are deleted with the sagas.
    """
    ended = select(_SAGA.c.id).where(
        _SAGA.c.id.in_(saga_ids), _SAGA.c.status.in_(FINISHED), _SAGA.c.parent_id.is_(None)
    )
    if is_distributed(db.engine):
        return sum(_delete_tree(saga_id, keys_days) for saga_id in saga_ids)
    with atomic(db.engine) as connection:
        roots = connection.scalars(ended.order_by(_SAGA.c.id).with_for_update()).all()
        if keys_days is not None:
            request_keys.outlive(connection, roots, keys_days)
        # A statement of its own, because it must see what was committed before the locks.
        tree = select(_SAGA.c.id, _SAGA.c.id.label("root")).where(_SAGA.c.id.in_(roots)).cte("tree", recursive=True)
        tree = tree.union_all(select(_SAGA.c.id, tree.c.root).where(_SAGA.c.parent_id == tree.c.id))
        sends = select(tree.c.root).where(_has_to_send(tree.c.id))
        whole = select(tree.c.id).where(tree.c.root.not_in(sends))
        gone = delete(_SAGA).where(_SAGA.c.id.in_(whole)).returning(_SAGA.c.id)
        deleted = len(connection.execute(gone).all())
    db.session.expunge_all()
    return deleted


def sagas_of(month: Month, batch: int) -> Iterator[Sequence[SagaRow]]:
    """Yield the sagas of a month without a parent, in batches."""
    first, last = month.bounds
    roots = select(SagaRow).where(SagaRow.parent_id.is_(None), SagaRow.id < last).order_by(SagaRow.id).limit(batch)
    rows = db.session.scalars(roots.where(SagaRow.id >= first)).all()
    while rows:
        after = rows[-1].id
        yield rows
        db.session.expunge_all()
        rows = db.session.scalars(roots.where(SagaRow.id > after)).all()


def _delete_tree(root: UUID, keys_days: float | None) -> int:
    """Delete one saga as `delete_ended` does, on a distributed database: the whole tree is on one shard."""
    with atomic(db.engine) as connection:
        ended = select(_SAGA.c.id).where(_SAGA.c.id == root, _SAGA.c.status.in_(FINISHED), _SAGA.c.parent_id.is_(None))
        if connection.execute(ended.with_for_update()).first() is None:
            return 0
        if keys_days is not None:
            request_keys.outlive(connection, [root], keys_days)
        tree = [root, *trees_of.below(connection, [root])]
        in_tree = _SAGA.c.id.in_(tree)
        if connection.execute(select(_SAGA.c.id).where(in_tree, _has_to_send(_SAGA.c.id)).limit(1)).first():
            return 0
        request_keys.free(connection, tree)
        deleted = connection.execute(delete(_SAGA).where(in_tree)).rowcount
    db.session.expunge_all()
    return deleted


def all_sagas(batch: int) -> Iterator[Sequence[SagaRow]]:
    """Yield all sagas, the oldest first, in batches. The children of a saga follow it."""
    after: tuple[datetime, UUID] | None = None
    position = tuple_(SagaRow.created_at, SagaRow.id)
    roots = select(SagaRow).where(SagaRow.parent_id.is_(None))
    ordered = roots.order_by(SagaRow.created_at, SagaRow.id).limit(batch)
    while rows := db.session.scalars(ordered if after is None else ordered.where(position > after)).all():
        after = rows[-1].created_at, rows[-1].id
        yield from trees(rows, batch)
        db.session.expunge_all()
