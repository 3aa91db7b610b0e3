"""Counts and ages of all sagas per state, for the metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, Select, func, select

from app.store.database import in_seconds, seconds_until
from app.store.models import UNFINISHED, OutboxRow, ParkedRow, ReplicaRow, SagaRow
from machines.registry import Registry

_SAGA, _REPLICA = SagaRow.__table__, ReplicaRow.__table__
_OUTBOX, _PARKED = OutboxRow.__table__, ParkedRow.__table__
#: Seconds without a heartbeat after which a replica counts as gone.
SILENT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Stock:
    """The counts at one moment."""

    #: (definition, state) → number of unfinished sagas there, and seconds since the first of them entered the state.
    standing: Mapping[tuple[str, str], tuple[int, float]]
    #: (definition, version) → unfinished sagas whose table this process does not have; 0 for each that it has.
    unknown: Mapping[tuple[str, int], int]
    #: Seconds by which the saga that has been due longest is overdue, of those whose table this process has.
    overdue_s: float
    #: Processes that run sagas.
    replicas: int
    #: Seconds that the oldest event has been waiting for the broker.
    unpublished_s: float
    #: Dead letters: messages that wait for a person.
    parked: int


def read(engine: Engine, registry: Registry) -> Stock:
    with engine.connect() as connection:
        groups = connection.execute(_GROUPS).all()
        now = connection.execute(_NOW).one()
    return Stock(
        standing=_standing(groups),
        unknown=_unknown(groups, registry),
        overdue_s=_overdue_s(groups, registry),
        replicas=now.replicas,
        unpublished_s=max(0.0, -(now.unpublished_s or 0.0)),
        parked=now.parked,
    )


def _standing(groups: Sequence[Row[Any]]) -> Mapping[tuple[str, str], tuple[int, float]]:
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
    """Return the longest overdue time of sagas that this process can claim; `unknown` counts the others."""
    due = [group.due_s for group in groups if group.due_s is not None and registry.knows(group)]
    return max(0.0, -min(due, default=0.0))


def _groups() -> Select[Any]:
    """Return the count of unfinished sagas by table and state. One query serves all gauges of sagas."""
    same = (_SAGA.c.definition, _SAGA.c.definition_version, _SAGA.c.table_digest, _SAGA.c.state)
    oldest = seconds_until(func.min(_SAGA.c.entered_at)).label("entered_s")
    due = seconds_until(func.min(_SAGA.c.due_at)).label("due_s")
    return select(*same, func.count().label("sagas"), oldest, due).where(UNFINISHED).group_by(*same)


def _now() -> Select[Any]:
    alive = select(func.count()).where(_REPLICA.c.beat_at > in_seconds(-SILENT_S)).scalar_subquery()
    oldest = select(_OUTBOX.c.at).order_by(_OUTBOX.c.id).limit(1).scalar_subquery()
    parked = select(func.count()).select_from(_PARKED).scalar_subquery()
    return select(
        alive.label("replicas"),
        seconds_until(oldest).label("unpublished_s"),
        parked.label("parked"),
    )


_GROUPS, _NOW = _groups(), _now()
