"""How many sagas stand where, and for how long, read for those who watch all of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Select, func, select

from app.store.database import in_seconds, seconds_until
from app.store.models import UNFINISHED, OutboxRow, ParkedRow, ReplicaRow, SagaRow

_SAGA, _REPLICA = SagaRow.__table__, ReplicaRow.__table__
_OUTBOX, _PARKED = OutboxRow.__table__, ParkedRow.__table__
#: A replica whose pulse is older than this is away.
SILENT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Stock:
    """What there is at one moment.

    standing: by definition and state, how many unfinished sagas stand there, and for how many seconds the first has.
    overdue_s: how long the saga has been due that has been for longest. replicas: the processes that run sagas.
    unpublished_s: how long the oldest event has been waiting for the broker. parked: messages that wait for a person.
    """

    standing: Mapping[tuple[str, str], tuple[int, float]]
    overdue_s: float
    replicas: int
    unpublished_s: float
    parked: int


def read(engine: Engine) -> Stock:
    with engine.connect() as connection:
        standing = connection.execute(_STANDING).all()
        now = connection.execute(_NOW).one()
    return Stock(
        standing={(row.definition, row.state): (row.sagas, max(0.0, -row.entered_s)) for row in standing},
        overdue_s=max(0.0, -(now.due_s or 0.0)),
        replicas=now.replicas,
        unpublished_s=max(0.0, -(now.unpublished_s or 0.0)),
        parked=now.parked,
    )


def _standing() -> Select[Any]:
    place = (_SAGA.c.definition, _SAGA.c.state)
    oldest = seconds_until(func.min(_SAGA.c.entered_at)).label("entered_s")
    return select(*place, func.count().label("sagas"), oldest).where(UNFINISHED).group_by(*place)


def _now() -> Select[Any]:
    due = select(seconds_until(func.min(_SAGA.c.due_at))).where(_SAGA.c.due_at.is_not(None)).scalar_subquery()
    alive = select(func.count()).where(_REPLICA.c.beat_at > in_seconds(-SILENT_S)).scalar_subquery()
    oldest = select(_OUTBOX.c.at).order_by(_OUTBOX.c.id).limit(1).scalar_subquery()
    parked = select(func.count()).select_from(_PARKED).scalar_subquery()
    return select(
        due.label("due_s"),
        alive.label("replicas"),
        seconds_until(oldest).label("unpublished_s"),
        parked.label("parked"),
    )


_STANDING, _NOW = _standing(), _now()
