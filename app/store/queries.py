"""Reading sagas for people: one, its journal, and lists that stay fast however many there are."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, select, tuple_

from app.store.database import db, seconds_until
from app.store.instance import Standing, known_by
from app.store.models import JournalRow, OutboxRow, SagaRow
from app.store.outbox import TOLD
from app.store.tables import without_table
from machines.registry import Registry
from machines.rows import Trigger

#: A list says how many it has up to here; counting millions would take longer than reading them is worth.
LARGEST_TOTAL = 10_000

#: What a list may be sorted by; a minus before the name turns it round.
SORTS = {"created_at": SagaRow.created_at, "updated_at": SagaRow.updated_at}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What a list shows. definitions, statuses, states: any of these. created: from (included) and to (excluded).
    unknown_to: only unfinished sagas whose table this registry does not have.
    """

    definitions: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    created_from: datetime | None = None
    created_to: datetime | None = None
    client: str | None = None
    store: str | None = None
    unknown_to: Registry | None = None


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a list; total is exact below LARGEST_TOTAL."""

    sagas: Sequence[SagaRow]
    total: int
    has_more: bool

    @property
    def following(self) -> tuple[datetime, UUID] | None:
        """Say where the next page begins, if there is one."""
        return (self.sagas[-1].created_at, self.sagas[-1].id) if self.has_more else None


def find(saga_id: UUID) -> SagaRow | None:
    return db.session.get(SagaRow, saga_id)


def journal(saga_id: UUID) -> Sequence[JournalRow]:
    return db.session.scalars(select(JournalRow).where(JournalRow.saga_id == saga_id).order_by(JournalRow.seq)).all()


def journals(saga_ids: Sequence[UUID], replies_of: Collection[str] | None = None) -> dict[UUID, list[Any]]:
    """Return the journals of a page of sagas in one query.

    replies_of: the steps whose replies are wanted, where they succeeded; None: all replies. Replies may be long.
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
    """Say by the database's clock for how long a saga has been in its state, age_s, and when it is tried again, next_s.

    next_s is None while a process holds it, or is about to, and when nothing is left to try.
    """
    next_s = case((SagaRow.owner.is_(None), seconds_until(SagaRow.due_at))).label("next_s")
    age_s = (-seconds_until(SagaRow.entered_at)).label("age_s")
    return db.session.execute(select(age_s, next_s).where(SagaRow.id == saga_id)).one()


def told(saga_id: UUID) -> Sequence[Row[Any]]:
    """Give the moves of a saga that others are told of."""
    moves = TOLD.where(JournalRow.saga_id == saga_id, JournalRow.event.is_not(None)).order_by(JournalRow.seq)
    return db.session.execute(moves).all()


def unpublished(saga_id: UUID) -> frozenset[int]:
    """Say which of them no broker has taken yet, by their seq."""
    return frozenset(db.session.scalars(select(OutboxRow.seq).where(OutboxRow.saga_id == saga_id)))


def sagas(saga_ids: Sequence[UUID]) -> dict[UUID, SagaRow]:
    """Give these sagas, as far as there are such, in one query."""
    return {saga.id: saga for saga in db.session.scalars(select(SagaRow).where(SagaRow.id.in_(saga_ids)))}


def standings(saga_ids: Sequence[UUID]) -> list[Standing]:
    """Tell where sagas stand now."""
    columns = (SagaRow.id, SagaRow.state, SagaRow.status, SagaRow.error)
    rows = db.session.execute(select(*columns).where(SagaRow.id.in_(saga_ids)))
    return [Standing(id=row.id, state=row.state, status=row.status, error=row.error) for row in rows]


def page(
    wanted: Filter, *, sort: str = "-created_at", limit: int = 50, offset: int = 0,
    after: tuple[datetime, UUID] | None = None,
) -> Page:  # fmt: skip
    """Give a page of the sagas that pass. `after`, a page's `following`, goes with a sort by created_at alone."""
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
        SagaRow.client == known_by(wanted.client) if wanted.client is not None else None,
        SagaRow.store == known_by(wanted.store) if wanted.store is not None else None,
        without_table(wanted.unknown_to) if wanted.unknown_to is not None else None,
    ]
    return select(SagaRow).where(*(condition for condition in conditions if condition is not None))
