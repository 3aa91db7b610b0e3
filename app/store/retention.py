"""Sagas that ended long ago. They are read for the archive and deleted with their journals, both in batches."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, exists, select, tuple_

from app.store.database import DAY_S, db, in_seconds
from app.store.models import DeliveryRow, OutboxRow, SagaRow
from app.store.queries import step_started
from machines.statuses import FINISHED

_SAGA = SagaRow.__table__


def ended_before(days: float, limit: int) -> Sequence[SagaRow]:
    """Return the oldest sagas that ended at least `days` ago, and whose events and messages are all sent.

    A saga is also returned when one of its messages to webhooks is a dead letter. The limit does not count the children
    that a saga has started; they follow their parents.
    """
    past = in_seconds(-days * DAY_S)
    unpublished = exists().where(OutboxRow.saga_id == SagaRow.id)
    old = select(SagaRow).where(
        SagaRow.created_at < past,  # excludes no saga, but lets the database use the index on created_at
        SagaRow.updated_at < past,
        SagaRow.status.in_(FINISHED),
        SagaRow.parent_id.is_(None),
        ~unpublished,
        ~exists().where(DeliveryRow.saga_id == SagaRow.id, DeliveryRow.due_at.is_not(None)),
    )
    roots = db.session.scalars(old.order_by(SagaRow.created_at, SagaRow.id).limit(limit)).all()
    return [*roots, *descendants([root.id for root in roots])]


def descendants(saga_ids: Sequence[UUID]) -> Sequence[SagaRow]:
    """Return the children of these sagas, their children, and so on: each parent before its children."""
    found: list[SagaRow] = []
    while saga_ids:
        below = db.session.scalars(
            select(SagaRow)
            .where(SagaRow.parent_id.in_(saga_ids), SagaRow.parent_id.is_not(None))
            .order_by(SagaRow.parent_id, step_started(), SagaRow.child_number)
        ).all()
        found += below
        saga_ids = [child.id for child in below]
    return found


def delete_ended(saga_ids: Sequence[UUID]) -> int:
    """Delete these sagas with all their children in one statement, except unfinished sagas.

    Return the number of deleted sagas. A saga that had ended can be unfinished now, because a person has compensated
    the completed saga. Its children are then kept, because they are compensated with it. So the parents are locked.
    """
    ended = select(_SAGA.c.id).where(
        _SAGA.c.id.in_(saga_ids), _SAGA.c.status.in_(FINISHED), _SAGA.c.parent_id.is_(None)
    )
    roots = ended.with_for_update().cte("roots")
    tree = select(roots.c.id).cte("tree", recursive=True)
    tree = tree.union_all(select(_SAGA.c.id).where(_SAGA.c.parent_id == tree.c.id))
    gone = delete(SagaRow).where(SagaRow.id.in_(select(tree.c.id))).returning(SagaRow.id)
    deleted = db.session.execute(gone.execution_options(synchronize_session=False)).all()
    db.session.commit()
    db.session.expunge_all()
    return len(deleted)


def all_sagas(batch: int) -> Iterator[Sequence[SagaRow]]:
    """Yield all sagas, the oldest first, in batches."""
    after: tuple[datetime, UUID] | None = None
    position = tuple_(SagaRow.created_at, SagaRow.id)
    ordered = select(SagaRow).order_by(SagaRow.created_at, SagaRow.id).limit(batch)
    while rows := db.session.scalars(ordered if after is None else ordered.where(position > after)).all():
        after = rows[-1].created_at, rows[-1].id
        yield rows
        db.session.expunge_all()
