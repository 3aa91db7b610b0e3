"""How many sagas there are, where they stand, and how the last hour went, at one glance."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from app.store.database import db, in_seconds, seconds_until
from app.store.models import UNFINISHED, SagaRow

#: How much of the past is shown, and in how many parts.
WINDOW_S, PARTS = 3600, 60


@dataclass(frozen=True, kw_only=True)
class Minute:
    """The sagas that were begun in one part of the window, by definition and present status. number: from 0, the oldest."""

    number: int
    definition: str
    status: str
    sagas: int


class part_of(FunctionElement[int]):  # noqa: N801  reads as the SQL function it is
    """`part_of(moment, since, seconds)`: in which part, of so many seconds, after `since` a moment lies; from 0."""

    inherit_cache = True


@compiles(part_of, "postgresql")
def _part_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    moment, since, seconds = (compiler.process(clause, **options) for clause in element.clauses)
    return f"floor(extract(epoch FROM {moment} - {since}) / {seconds})::int"


@compiles(part_of, "sqlite")
def _part_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    moment, since, seconds = (compiler.process(clause, **options) for clause in element.clauses)
    return f"CAST((julianday({moment}) - julianday({since})) * 86400.0 / {seconds} AS INTEGER)"


def standing() -> Sequence[Row[Any]]:
    """Count what is unfinished, by definition and status, each with the age of its oldest."""
    place = (SagaRow.definition, SagaRow.status)
    oldest_s = (-seconds_until(func.min(SagaRow.created_at))).label("oldest_s")
    counted = select(*place, func.count().label("sagas"), oldest_s).where(UNFINISHED).group_by(*place)
    return db.session.execute(counted).all()


def oldest(limit: int) -> Sequence[Row[Any]]:
    """Give the unfinished sagas that were begun first."""
    age_s = (-seconds_until(SagaRow.created_at)).label("age_s")
    shown = (SagaRow.id, SagaRow.definition, SagaRow.state, SagaRow.status, SagaRow.client, age_s)
    return db.session.execute(
        select(*shown).where(UNFINISHED).order_by(SagaRow.created_at, SagaRow.id).limit(limit)
    ).all()


def lately() -> Sequence[Minute]:
    """Count the sagas begun in the window, by when they were begun and where they stand now."""
    # Asked for before, for PostgreSQL plans with a moment that it knows.
    now: datetime = db.session.scalars(select(in_seconds(0))).one()
    since = now - timedelta(seconds=WINDOW_S)
    part = part_of(SagaRow.created_at, since, WINDOW_S // PARTS).label("number")
    begun = select(part, SagaRow.definition, SagaRow.status).where(SagaRow.created_at > since).subquery()
    same = (begun.c.number, begun.c.definition, begun.c.status)
    rows = db.session.execute(select(*same, func.count().label("sagas")).group_by(*same))
    return [
        Minute(number=min(row.number, PARTS - 1), definition=row.definition, status=row.status, sagas=row.sagas)
        for row in rows
    ]
