"""Sagas of a definition per state, how long they stay, and the transitions they took recently.

Unfinished sagas are found by their index; the past is read only from the journal rows of the window.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Float, Select, and_, func, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import aliased
from sqlalchemy.sql.functions import FunctionElement

from app.store.database import db, db_now, in_seconds
from app.store.models import JournalRow, SagaRow
from machines.statuses import FINISHED

_P95 = 0.95


@dataclass(frozen=True, kw_only=True)
class Heat:
    """The figures of one definition."""

    #: State → number of sagas in it.
    now: Mapping[str, int]
    #: State → longest present stay, in seconds.
    oldest_s: Mapping[str, float]
    #: State → 95th percentile of the stays that ended in the window, in seconds.
    p95_s: Mapping[str, float]
    #: (source, trigger, dest) → number of moves in the window.
    moves: Mapping[tuple[str, str, str], int]


class seconds_between(FunctionElement[float]):  # noqa: N801  reads as the SQL function it is
    """`seconds_between(earlier, later)`: the difference in seconds."""

    type = Float()
    inherit_cache = True


@compiles(seconds_between, "postgresql")
def _seconds_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    earlier, later = (compiler.process(clause, **options) for clause in element.clauses)
    return f"EXTRACT(EPOCH FROM {later} - {earlier})::float"


@compiles(seconds_between, "sqlite")
def _seconds_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    earlier, later = (compiler.process(clause, **options) for clause in element.clauses)
    return f"((julianday({later}) - julianday({earlier})) * 86400.0)"


def heat(definition: str, version: int, window_s: float) -> Heat:
    # Read first, because PostgreSQL plans well only for a moment that is a constant of the query.
    since = db.session.scalars(select(in_seconds(-window_s))).one()
    standing = db.session.execute(_standing(definition, version)).all()
    return Heat(
        now={row.state: row.now for row in standing},
        oldest_s={row.state: max(row.oldest_s or 0.0, 0.0) for row in standing},
        p95_s={row.state: row.p95_s for row in db.session.execute(_dwell(definition, version, since))},
        moves={
            (row.source or "", row.trigger, row.dest): row.times
            for row in db.session.execute(_moves(definition, version, since))
        },
    )


def standing(definition: str, version: int) -> dict[str, int]:
    """Return the number of unfinished sagas of a version by state."""
    query = select(SagaRow.state, func.count().label("times")).where(_open(definition, version)).group_by(SagaRow.state)
    return {row.state: row.times for row in db.session.execute(query)}


def _open(definition: str, version: int) -> ColumnElement[bool]:
    return and_(
        SagaRow.status.not_in(FINISHED),
        SagaRow.definition == definition,
        SagaRow.definition_version == version,
    )


def _standing(definition: str, version: int) -> Select[Any]:
    # Not updated_at: a failed attempt changes it, and the saga is still in its state.
    since = (
        select(func.max(JournalRow.at))
        .where(JournalRow.saga_id == SagaRow.id, JournalRow.dest == SagaRow.state, _entered(JournalRow))
        .scalar_subquery()
    )
    each = select(SagaRow.state, since.label("since")).where(_open(definition, version)).subquery()
    oldest_s = func.max(seconds_between(each.c.since, db_now()))
    return select(each.c.state, func.count().label("now"), oldest_s.label("oldest_s")).group_by(each.c.state)


def _window(definition: str, version: int, since: datetime) -> ColumnElement[bool]:
    return and_(
        JournalRow.at >= since,
        JournalRow.source.is_not(None),
        SagaRow.definition == definition,
        SagaRow.definition_version == version,
    )


def _moves(definition: str, version: int, since: datetime) -> Select[str | None, str, str, int]:
    edge = (JournalRow.source, JournalRow.trigger, JournalRow.dest)
    return (
        select(*edge, func.count().label("times"))
        .join(SagaRow, SagaRow.id == JournalRow.saga_id)
        .where(_window(definition, version, since))
        .group_by(*edge)
    )


def _dwell(definition: str, version: int, since: datetime) -> Select[Any]:
    """Return, by state, the 95th percentile of the stays that ended in the window, counted alike on both databases."""
    entry = aliased(JournalRow)
    entered = (
        select(entry.at)
        .where(
            entry.saga_id == JournalRow.saga_id,
            entry.seq < JournalRow.seq,
            entry.dest == JournalRow.source,
            _entered(entry),
        )
        .order_by(entry.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    left = (
        select(JournalRow.source.label("state"), seconds_between(entered, JournalRow.at).label("dwell_s"))
        .join(SagaRow, SagaRow.id == JournalRow.saga_id)
        .where(_window(definition, version, since), JournalRow.source != JournalRow.dest)
        .subquery()
    )
    ranked = select(
        left.c.state,
        left.c.dwell_s,
        func.cume_dist().over(partition_by=left.c.state, order_by=left.c.dwell_s).label("share"),
    ).subquery()
    p95_s = func.min(ranked.c.dwell_s).label("p95_s")
    return select(ranked.c.state, p95_s).where(ranked.c.share >= _P95).group_by(ranked.c.state)


def _entered(row: Any) -> ColumnElement[bool]:
    return or_(row.source.is_(None), row.source != row.dest)
