"""Sagas that have ended long ago: read for the archive, and deleted with their journals, a batch at a time."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, exists, select, tuple_

from app.store.database import db, in_seconds
from app.store.instance import FINISHED
from app.store.models import OutboxRow, SagaRow

_DAY_S = 86_400.0


def ended_before(days: float, limit: int) -> Sequence[SagaRow]:
    """Give the oldest sagas that ended so many days ago and whose events have all been published."""
    past = in_seconds(-days * _DAY_S)
    unpublished = exists().where(OutboxRow.saga_id == SagaRow.id)
    old = select(SagaRow).where(
        SagaRow.created_at < past,  # by which they are found; none has ended before it was begun
        SagaRow.updated_at < past,
        SagaRow.status.in_(FINISHED),
        ~unpublished,
    )
    return db.session.scalars(old.order_by(SagaRow.created_at, SagaRow.id).limit(limit)).all()


def forget(saga_ids: Sequence[UUID]) -> int:
    """Delete these sagas in one statement, but for any that is not finished; return how many were.

    A table whose last step can still be undone lets a person take a finished saga up again at any moment.
    """
    gone = delete(SagaRow).where(SagaRow.id.in_(saga_ids), SagaRow.status.in_(FINISHED)).returning(SagaRow.id)
    deleted = db.session.execute(gone.execution_options(synchronize_session=False)).all()
    db.session.commit()
    db.session.expunge_all()
    return len(deleted)


def every(batch: int) -> Iterator[Sequence[SagaRow]]:
    """Give all sagas, the oldest first, so many at a time."""
    after: tuple[datetime, UUID] | None = None
    place = tuple_(SagaRow.created_at, SagaRow.id)
    ordered = select(SagaRow).order_by(SagaRow.created_at, SagaRow.id).limit(batch)
    while rows := db.session.scalars(ordered if after is None else ordered.where(place > after)).all():
        after = rows[-1].created_at, rows[-1].id
        yield rows
        db.session.expunge_all()
