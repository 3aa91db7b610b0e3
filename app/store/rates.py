"""How many sagas ended or got stuck in each part of a time window, and how long the calls of each step took.

Only the journal of the window is read, and each statement has a time limit, so no figure grows with the database.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, case, func, or_, select

from app.store.database import db, in_seconds, part_of
from app.store.figures import bounded_statements
from app.store.lists import StateKey
from app.store.models import JournalRow, SagaRow
from app.store.releases import Deploy, deploys
from machines.statuses import Status
from machines.transitions import Trigger

_P50, _P95 = 0.5, 0.95


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """How long the calls of one step took in the window, with its probes and polls."""

    definition: str
    step: str
    #: `do` or `undo`.
    direction: str
    calls: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, kw_only=True)
class Rates:
    """The figures of a time window that ends now."""

    since: datetime
    #: (definition, status, number of the part of the window) → number of sagas that came to this status then. A saga
    #: that got stuck several times counts when it got stuck first.
    arrivals: Mapping[tuple[str, str, int], int]
    times: Sequence[StepTimes]
    #: The releases that appeared in the window.
    deploys: Sequence[Deploy]


def rates(ends: Mapping[StateKey, Status], definitions: Sequence[str], window_s: float, part_s: float) -> Rates:
    """Return the figures of a window, divided into parts. Raise BusyError when a statement takes too long.

    ends: the states in which a saga is completed, compensated or stuck, each with this status. definitions: whose step
    times are counted. A saga that another saga has started counts only when it is stuck, as in the metrics.
    """
    move, saga = JournalRow, SagaRow
    with bounded_statements(db.engine) as connection:
        since = connection.execute(select(in_seconds(-window_s))).scalar_one()
        part = part_of(since, move.at, part_s).label("part")
        #: A saga that has got stuck several times counts once, so it is found again by its id.
        stuck_id = case((move.dest.in_({key[2] for key, each in ends.items() if each is Status.STUCK}), move.saga_id))
        is_root = saga.parent_id.is_(None).label("is_root")
        same = (part, saga.definition, saga.definition_version, move.dest, is_root, stuck_id.label("stuck_id"))
        arrived = (
            select(*same, func.count().label("sagas"))
            .join(saga, saga.id == move.saga_id)
            .where(move.at >= since, move.dest.in_({state for _, _, state in ends}))
            .where(or_(move.source.is_(None), move.source != move.dest), saga.definition.in_(definitions))
            .group_by(*same)
            .order_by(part)
        )
        rows = connection.execute(arrived).all()
        times = connection.execute(_times(since, definitions)).all()
        appeared = deploys(connection, since)
    arrivals: Counter[tuple[str, str, int]] = Counter()
    stuck: set[UUID] = set()
    for row in rows:
        status = ends.get((row.definition, row.definition_version, row.dest))
        if status is Status.STUCK:
            arrivals[row.definition, status, row.part] += row.stuck_id not in stuck
            stuck.add(row.stuck_id)
        elif status is not None and row.is_root:
            arrivals[row.definition, status, row.part] += row.sagas
    steps = [StepTimes(**each._mapping) for each in times]  # noqa: SLF001
    return Rates(since=since, arrivals=arrivals, times=steps, deploys=appeared)


def _times(since: datetime, definitions: Sequence[str]) -> Select[tuple[str, str, str, int, float, float]]:
    """Return the query for the percentiles. It uses cume_dist, because SQLite has no function for percentiles."""
    same = (SagaRow.definition, JournalRow.step, JournalRow.direction)
    share = func.cume_dist().over(partition_by=same, order_by=JournalRow.duration_ms).label("share")
    ranked = (
        select(*same, JournalRow.duration_ms.label("took_ms"), share)
        .join(SagaRow, SagaRow.id == JournalRow.saga_id)
        .where(JournalRow.at >= since, JournalRow.duration_ms.is_not(None), SagaRow.definition.in_(definitions))
        # A breaker or a pause has held the call back, so there was none. A deferral with a status was answered.
        .where(or_(JournalRow.trigger != Trigger.DEFER, JournalRow.status_code.is_not(None)))
        .subquery()
    )
    found = (ranked.c.definition, ranked.c.step, ranked.c.direction)
    p50_ms, p95_ms = (func.min(case((ranked.c.share >= part, ranked.c.took_ms))) for part in (_P50, _P95))
    columns = (*found, func.count().label("calls"), p50_ms.label("p50_ms"), p95_ms.label("p95_ms"))
    return select(*columns).group_by(*found).order_by(*found)
