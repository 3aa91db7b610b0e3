"""Counts, ages and rates of sagas: for the metrics, for the overview page, and for the diagram of one definition.

Unfinished sagas are found through an index. For the past, only the journal rows of a limited time are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    ScalarSelect,
    Select,
    TextClause,
    and_,
    case,
    func,
    literal_column,
    or_,
    select,
    union_all,
)
from sqlalchemy import Engine as Database
from sqlalchemy.orm import aliased

from app.store.api_keys import expiring_names
from app.store.database import db, db_now, in_seconds, minute_of, seconds_between, seconds_until
from app.store.figures import bounded_statements
from app.store.message_models import DEAD, DeliveryRow, OutboxRow, ParkedRow
from app.store.models import ENDED, UNFINISHED, JournalRow, SagaRow
from app.store.processes import Processes, running_processes
from app.store.queries import Reach, backs_off, within
from machines.registry import Registry
from machines.statuses import FINISHED, Status

_SAGA = SagaRow.__table__
_OUTBOX, _PARKED, _DELIVERY = OutboxRow.__table__, ParkedRow.__table__, DeliveryRow.__table__


@dataclass(frozen=True, kw_only=True)
class SagaCounts:
    """The counts of sagas, processes, events and dead letters at the time of the query."""

    #: (definition, state) → number of unfinished sagas in the state, and seconds since the first of them entered it.
    by_state: Mapping[tuple[str, str], tuple[int, float]]
    #: (definition, version) → number of unfinished sagas that this process cannot move, because it lacks their table.
    unknown: Mapping[tuple[str, int], int]
    #: How long the longest overdue saga has been due, in seconds. Only sagas whose table this process has are counted.
    overdue_s: float
    #: Number of sagas that are due now and wait for a process. Only sagas whose table this process has are counted.
    due: int
    #: The processes that run sagas.
    processes: Processes
    #: How long the oldest unpublished event has waited for the broker, in seconds.
    unpublished_s: float
    #: Number of dead letters among the received messages.
    parked: int
    #: Number of messages to webhooks that are still to be sent, and of those that are dead letters.
    webhooks_pending: int
    webhooks_dead: int
    #: Number of programs whose last API key expires soon.
    keys_expiring: int


def saga_counts(database: Database, registry: Registry) -> SagaCounts:
    with database.connect() as connection:
        groups = connection.execute(_GROUPS).all()
        now, processes = connection.execute(_NOW).one(), running_processes(connection)
    return SagaCounts(
        by_state=_by_state(groups),
        unknown=_unknown(groups, registry),
        overdue_s=_overdue_s(groups, registry),
        due=sum(group.due for group in groups if registry.knows(group)),
        processes=processes,
        unpublished_s=max(0.0, -(now.unpublished_s or 0.0)),
        parked=now.parked,
        webhooks_pending=now.webhooks_pending,
        webhooks_dead=now.webhooks_dead,
        keys_expiring=now.keys_expiring,
    )


def _by_state(groups: Sequence[Row[Any]]) -> Mapping[tuple[str, str], tuple[int, float]]:
    found: dict[tuple[str, str], tuple[int, float]] = {}
    for group in groups:
        sagas, age_s = found.get((group.definition, group.state), (0, 0.0))
        found[group.definition, group.state] = sagas + group.sagas, max(age_s, -group.entered_s)
    return found


def _unknown(groups: Sequence[Row[Any]], registry: Registry) -> Mapping[tuple[str, int], int]:
    found = {(definition.name, definition.version): 0 for definition in registry}
    for group in groups:
        if not registry.knows(group):
            table = group.definition, group.definition_version
            found[table] = found.get(table, 0) + group.sagas
    return found


def _overdue_s(groups: Sequence[Row[Any]], registry: Registry) -> float:
    """Return how long the longest overdue saga has been due, in seconds. Count only sagas that the registry knows."""
    due = [group.due_s for group in groups if group.due_s is not None and registry.knows(group)]
    return max(0.0, -min(due, default=0.0))


def _groups() -> Select[Any]:
    """Return the query that counts unfinished sagas by table and state. All gauges of sagas use its one result."""
    same = (_SAGA.c.definition, _SAGA.c.definition_version, _SAGA.c.table_digest, _SAGA.c.state)
    oldest = seconds_until(func.min(_SAGA.c.entered_at)).label("entered_s")
    due = seconds_until(func.min(_SAGA.c.due_at)).label("due_s")
    waiting = func.count().filter(_SAGA.c.due_at <= db_now()).label("due")
    return select(*same, func.count().label("sagas"), oldest, due, waiting).where(UNFINISHED).group_by(*same)


def _now() -> Select[Any]:
    oldest = select(_OUTBOX.c.at).order_by(_OUTBOX.c.id).limit(1).scalar_subquery()
    parked = select(func.count()).select_from(_PARKED).scalar_subquery()
    return select(
        seconds_until(oldest).label("unpublished_s"),
        parked.label("parked"),
        _count_of(_DELIVERY.c.due_at.is_not(None)).label("webhooks_pending"),
        _count_of(DEAD).label("webhooks_dead"),
        expiring_names().label("keys_expiring"),
    )


def _count_of(condition: ColumnElement[bool] | TextClause) -> ScalarSelect[int]:
    """Return the number of messages to webhooks that match the condition of a partial index."""
    return select(func.count()).select_from(_DELIVERY).where(condition).scalar_subquery()


_GROUPS, _NOW = _groups(), _now()


#: How many minutes of the past the overview page shows.
MINUTES = 60


@dataclass(frozen=True, kw_only=True)
class Minute:
    """The number of sagas of one definition that were started in one minute and have one status now."""

    #: Number of the minute; 0 is the oldest.
    number: int
    definition: str
    status: str
    sagas: int
    #: Of unfinished sagas: the version of the table, the state, and whether they wait before their next attempt.
    definition_version: int = 0
    state: str = ""
    backs_off: bool = False


def counts_by_status() -> Sequence[Row[Any]]:
    """Return the number of unfinished sagas by definition and status, with the age of the oldest."""
    columns = (SagaRow.definition, SagaRow.status)
    oldest_s = (-seconds_until(func.min(SagaRow.created_at))).label("oldest_s")
    counted: Any = select(*columns, func.count().label("sagas"), oldest_s).where(UNFINISHED).group_by(*columns)
    return db.session.execute(counted).all()


def oldest_unfinished(limit: int) -> Sequence[Row[Any]]:
    """Return the unfinished sagas that started first, without those that nobody has begun, or that start later."""
    age_s = (-seconds_until(SagaRow.created_at)).label("age_s")
    shown = (
        SagaRow.id, SagaRow.definition, SagaRow.definition_version, SagaRow.state, SagaRow.status, SagaRow.owner,
        SagaRow.attempt, SagaRow.deferrals, SagaRow.created_at, age_s,
    )  # fmt: skip
    begun = and_(SagaRow.due_at.is_not(None), SagaRow.entered_at <= db_now())
    # MATERIALIZED, because otherwise PostgreSQL may read all sagas in the order of creation.
    found = (
        select(*shown)
        .where(UNFINISHED, or_(SagaRow.status != Status.PENDING, begun))
        .cte("unfinished")
        .prefix_with("MATERIALIZED")
    )
    return db.session.execute(select(found).order_by(found.c.created_at, found.c.id).limit(limit)).all()


def started_lately(known: Sequence[str]) -> tuple[datetime, Sequence[Minute]]:
    """Return the numbers of sagas started in the last MINUTES minutes, and when the first minute begins.

    known: the names of all definitions, with those of branches.

    Sagas that have ended are counted by one query for each definition and status, because each reads only an index.
    """
    now = db.session.scalars(select(db_now())).one()
    first = now.replace(second=0, microsecond=0) - timedelta(minutes=MINUTES - 1)
    started = (SagaRow.definition, SagaRow.status, SagaRow.created_at)
    waits = case((backs_off(), 1), else_=0).label("backs_off")
    unfinished = select(*started, SagaRow.definition_version, SagaRow.state, waits).where(UNFINISHED)
    under_way = select(unfinished.cte("unfinished").prefix_with("MATERIALIZED")).subquery()
    ended = [
        select(*started).where(ENDED, SagaRow.definition == name, SagaRow.status == literal_column(f"'{status}'"))
        for name in known
        for status in FINISHED
    ]
    finer = under_way.c.definition_version, under_way.c.state, under_way.c.backs_off
    counted = [_by_minute(under_way, first, *finer)]
    if ended:
        counted.append(union_all(*(_by_minute(part.subquery(), first) for part in ended)))
    rows = [row._asdict() for each in counted for row in db.session.execute(each)]
    return first, [Minute(number=(row.pop("minute") - first) // timedelta(minutes=1), **row) for row in rows]


def _by_minute(started: Any, first: datetime, *finer: ColumnElement[Any]) -> Any:
    same = (minute_of(started.c.created_at).label("minute"), started.c.definition, started.c.status, *finer)
    return select(*same, func.count().label("sagas")).where(started.c.created_at >= first).group_by(*same)


_P95 = 0.95


@dataclass(frozen=True, kw_only=True)
class Heat:
    """The numbers that a diagram shows for one version of a definition. The window is a period that ends now."""

    #: State → number of sagas that are in the state now.
    now: Mapping[str, int]
    #: State → how long the oldest of these sagas has been in the state, in seconds.
    oldest_s: Mapping[str, float]
    #: State → 95th percentile of the stays in the state that ended in the window, in seconds.
    p95_s: Mapping[str, float]
    #: (source, trigger, dest) → number of these moves in the window.
    moves: Mapping[tuple[str, str, str], int]


def heat(definition: str, version: int, window_s: float, deadline_s: float) -> Heat:
    """Return the numbers of one version of a definition. deadline_s: seconds from a saga's start to its deadline."""
    # A separate query reads the time: PostgreSQL plans a comparison well only when the time is a constant.
    with bounded_statements(db.engine) as connection:
        since = connection.execute(select(in_seconds(-window_s))).scalar_one()
        stays = connection.execute(_stays(definition, version)).all()
        left = connection.execute(_dwell(definition, version, since, deadline_s)).all()
        moves = connection.execute(_moves(definition, version, since)).all()
    return Heat(
        now={row.state: row.now for row in stays},
        oldest_s={row.state: max(row.oldest_s or 0.0, 0.0) for row in stays},
        p95_s={row.state: row.p95_s for row in left},
        moves={(row.source or "", row.trigger, row.dest): row.times for row in moves},
    )


def counts_by_state(definition: str, version: int, reach: Reach) -> dict[str, int]:
    """Return the number of unfinished sagas within `reach` of one version of a definition, by state."""
    counted = select(SagaRow.state, func.count().label("times")).where(_open(definition, version), within(reach))
    return {row.state: row.times for row in db.session.execute(counted.group_by(SagaRow.state))}


def _open(definition: str, version: int) -> ColumnElement[bool]:
    return and_(
        SagaRow.status.not_in(FINISHED),
        SagaRow.definition == definition,
        SagaRow.definition_version == version,
    )


def _stays(definition: str, version: int) -> Select[Any]:
    oldest_s = func.max(seconds_between(SagaRow.entered_at, db_now())).label("oldest_s")
    columns: tuple[Any, ...] = (SagaRow.state, func.count().label("now"), oldest_s)
    return select(*columns).where(_open(definition, version)).group_by(SagaRow.state)


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


def _dwell(definition: str, version: int, since: datetime, deadline_s: float) -> Select[Any]:
    """Return the query for the 95th percentile, by state, of the stays that ended in the window.

    A stay does not begin before the start of its saga: a saga that starts later is created in its first state. The
    query uses cume_dist, because SQLite has no function for percentiles.
    """
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
    stay_s = seconds_between(entered, JournalRow.at)
    since_start_s = deadline_s - seconds_between(JournalRow.at, SagaRow.deadline_at)
    dwell_s = case((since_start_s < stay_s, since_start_s), else_=stay_s)  # a saga without a deadline has the stay
    left = (
        select(JournalRow.source.label("state"), dwell_s.label("dwell_s"))
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
