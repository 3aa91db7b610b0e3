"""Queries for people: one saga, its journal, and lists that stay fast with any number of sagas."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, select, tuple_

from app.store.database import db, seconds_until
from app.store.instance import SagaSnapshot, search_text
from app.store.models import JournalRow, OutboxRow, SagaRow
from app.store.outbox import PUBLISHED
from app.store.tables import without_table
from machines.registry import Registry
from machines.transitions import Trigger

#: Largest exact total of a list; counting millions would take too long for its use.
LARGEST_TOTAL = 10_000

#: Sort keys of a list; a minus before the name reverses the order.
SORTS = {"created_at": SagaRow.created_at, "updated_at": SagaRow.updated_at}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Filter of a list."""

    #: Any of these definitions; empty: all.
    definitions: tuple[str, ...] = ()
    #: Any of these statuses; empty: all.
    statuses: tuple[str, ...] = ()
    #: Any of these states; empty: all.
    states: tuple[str, ...] = ()
    #: Earliest creation, included.
    created_from: datetime | None = None
    #: Latest creation, excluded.
    created_to: datetime | None = None
    client: str | None = None
    store: str | None = None
    #: Only unfinished sagas whose table this registry does not have.
    unknown_to: Registry | None = None


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a list. `total` is exact below LARGEST_TOTAL."""

    sagas: Sequence[SagaRow]
    total: int
    has_more: bool

    @property
    def following(self) -> tuple[datetime, UUID] | None:
        """The place after which the next page begins; None on the last page."""
        return (self.sagas[-1].created_at, self.sagas[-1].id) if self.has_more else None


def find(saga_id: UUID) -> SagaRow | None:
    return db.session.get(SagaRow, saga_id)


def journal(saga_id: UUID) -> Sequence[JournalRow]:
    return db.session.scalars(select(JournalRow).where(JournalRow.saga_id == saga_id).order_by(JournalRow.seq)).all()


def journals(saga_ids: Sequence[UUID], replies_of: Collection[str] | None = None) -> dict[UUID, list[Any]]:
    """Return the journals of a page of sagas in one query.

    replies_of: steps whose replies are read, where they succeeded; None: all replies. Replies may be long.
    """
    found: dict[UUID, list[Any]] = {saga_id: [] for saga_id in saga_ids}
    reply: ColumnElement[Any] = JournalRow.__table__.c.reply
    if replies_of is not None:
        wanted = JournalRow.step.in_(replies_of), JournalRow.trigger == Trigger.SUCCEEDED
        reply = case((and_(*wanted), reply)).label("reply")
    columns = [column for column in JournalRow.__table__.c if column.name != "reply"]
    rows = select(*columns, reply).where(JournalRow.saga_id.in_(saga_ids))
    for row in db.session.execute(rows.order_by(JournalRow.saga_id, JournalRow.seq)):
        found[row.saga_id].append(row)
    return found


def moments(saga_id: UUID) -> Row[Any]:
    """Return age_s, how long a saga has been in its state, and next_s, when it is tried again, in seconds.

    Both use the database's clock. next_s is None while a process holds the saga or is about to claim it, and when
    nothing is left to try.
    """
    next_s = case((SagaRow.owner.is_(None), seconds_until(SagaRow.due_at))).label("next_s")
    age_s = (-seconds_until(SagaRow.entered_at)).label("age_s")
    return db.session.execute(select(age_s, next_s).where(SagaRow.id == saga_id)).one()


def published_moves(saga_id: UUID) -> Sequence[Row[Any]]:
    """Return the moves of a saga that publish an event."""
    moves = PUBLISHED.where(JournalRow.saga_id == saga_id, JournalRow.event.is_not(None)).order_by(JournalRow.seq)
    return db.session.execute(moves).all()


def unpublished(saga_id: UUID) -> frozenset[int]:
    """Return the seq of each move of the saga whose event no broker has confirmed."""
    return frozenset(db.session.scalars(select(OutboxRow.seq).where(OutboxRow.saga_id == saga_id)))


def sagas(saga_ids: Sequence[UUID]) -> dict[UUID, SagaRow]:
    """Return the existing sagas of these ids, in one query."""
    return {saga.id: saga for saga in db.session.scalars(select(SagaRow).where(SagaRow.id.in_(saga_ids)))}


def standings(saga_ids: Sequence[UUID]) -> list[SagaSnapshot]:
    """Return the present state of each saga."""
    columns = (SagaRow.id, SagaRow.state, SagaRow.status, SagaRow.error)
    rows = db.session.execute(select(*columns).where(SagaRow.id.in_(saga_ids)))
    return [SagaSnapshot(id=row.id, state=row.state, status=row.status, error=row.error) for row in rows]


def page(
    wanted: Filter, *, sort: str = "-created_at", limit: int = 50, offset: int = 0,
    after: tuple[datetime, UUID] | None = None,
) -> Page:  # fmt: skip
    """Return a page of the matching sagas. `after`, a page's `following`, needs a sort by created_at."""
    query = _passing(wanted)
    down = sort.startswith("-")
    if after is not None:
        place = tuple_(SagaRow.created_at, SagaRow.id)
        query = query.where(place < after if down else place > after)
    by = (SORTS[sort.removeprefix("-")], SagaRow.id)
    ordered = query.order_by(*(column.desc() if down else column.asc() for column in by))
    sagas = list(db.session.scalars(ordered.limit(limit + 1).offset(offset)))
    counted = _passing(wanted).with_only_columns(SagaRow.id).limit(LARGEST_TOTAL).subquery()
    total = db.session.scalar(select(func.count()).select_from(counted)) or 0
    return Page(sagas=sagas[:limit], total=total, has_more=len(sagas) > limit)


def _passing(wanted: Filter) -> Select[SagaRow]:
    conditions: list[ColumnElement[bool] | None] = [
        SagaRow.definition.in_(wanted.definitions) if wanted.definitions else None,
        SagaRow.status.in_(wanted.statuses) if wanted.statuses else None,
        SagaRow.state.in_(wanted.states) if wanted.states else None,
        SagaRow.created_at >= wanted.created_from if wanted.created_from else None,
        SagaRow.created_at < wanted.created_to if wanted.created_to else None,
        SagaRow.client == search_text(wanted.client) if wanted.client is not None else None,
        SagaRow.store == search_text(wanted.store) if wanted.store is not None else None,
        without_table(wanted.unknown_to) if wanted.unknown_to is not None else None,
    ]
    return select(SagaRow).where(*(condition for condition in conditions if condition is not None))
