"""The sagas that a person should look at.

Such a saga is stuck, or stays in a state longer than its table expects, or has a table that this release lacks.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, not_, or_, select, tuple_

from app.store import queries
from app.store.database import cause_of, db, seconds_until
from app.store.lists import SagaFilter, StateKey
from app.store.models import BRIEF_ERROR, UNFINISHED, SagaRow
from app.store.tables import table_is_known
from machines.registry import Registry
from machines.statuses import UNDER_WAY, Status

#: Most groups on a page. More groups probably have one common cause, and the list of sagas still shows every saga.
MOST_GROUPS = 50
#: Columns of a saga on a page of the list.
_SHOWN = (
    SagaRow.id, SagaRow.definition, SagaRow.definition_version, SagaRow.state, SagaRow.status, SagaRow.client,
    SagaRow.store, BRIEF_ERROR.label("error"), SagaRow.entered_at, (-seconds_until(SagaRow.entered_at)).label("age_s"),
)  # fmt: skip


class Attention:
    """The sagas that need attention at the time of the request. limits: longest expected stay by state, in seconds."""

    def __init__(self, registry: Registry, limits: Mapping[StateKey, float]) -> None:
        # A separate query reads the time: PostgreSQL plans a comparison well only when the time is a constant.
        self.now = queries.now()
        by_limit: dict[float, list[StateKey]] = {}
        for key, limit_s in limits.items():
            by_limit.setdefault(limit_s, []).append(key)
        self._registry, self._unknown = registry, not_(table_is_known(registry))
        self._is = or_(_stays_too_long(self.now, by_limit), self._unknown)

    def groups(self, wanted: SagaFilter) -> Sequence[Row[Any]]:
        """Return the sagas grouped by definition, state and cause of the error, the largest group first.

        `error` is one error of the group, and `errors` the number of different ones. Each row also has sums over all
        groups. total: all sagas. total_groups: the groups. total_unknown: sagas whose table this release lacks.
        total_overstayed: sagas that have stayed too long in their state.
        """
        cause = cause_of(BRIEF_ERROR).label("cause")
        same = (SagaRow.definition, SagaRow.definition_version, SagaRow.state, SagaRow.status, cause)
        oldest = func.min(SagaRow.entered_at)
        overstayed = and_(SagaRow.status != Status.STUCK, not_(self._unknown))
        counted = self._those(
            wanted,
            *same,
            func.min(BRIEF_ERROR).label("error"),
            func.count(func.distinct(BRIEF_ERROR)).label("errors"),
            func.count().label("sagas"),
            (-seconds_until(oldest)).label("oldest_s"),
            self._unknown.label("unknown"),
            func.sum(func.count()).over().label("total"),
            func.count().over().label("total_groups"),
            _total(self._unknown).label("total_unknown"),
            _total(overstayed).label("total_overstayed"),
        ).group_by(*same, "unknown")
        return db.session.execute(counted.order_by(func.count().desc(), oldest).limit(MOST_GROUPS)).all()

    def errors(self, wanted: SagaFilter) -> Sequence[Row[Any]]:
        """Return the different errors of sagas with the number of sagas of each, the most frequent first."""
        error = BRIEF_ERROR.label("error")
        counted = self._those(wanted, error, func.count().label("sagas")).group_by(error)
        return db.session.execute(counted.order_by(func.count().desc(), error).limit(MOST_GROUPS)).all()

    def count_of(self, wanted: SagaFilter) -> int:
        """Return the number of sagas that match."""
        return db.session.scalar(self._those(wanted, func.count())) or 0

    def by_state(self, wanted: SagaFilter) -> Sequence[Row[Any]]:
        """Return the number of sagas by definition, version, state and status, and if their table is unknown."""
        same = (SagaRow.definition, SagaRow.definition_version, SagaRow.state, SagaRow.status)
        unknown = self._unknown.label("unknown")
        counted = self._those(wanted, *same, unknown, func.count().label("sagas")).group_by(*same, "unknown")
        return db.session.execute(counted).all()

    def chosen(self, wanted: SagaFilter, until: datetime) -> Select[Any]:
        """Return the query for the sagas that have been in their state since `until`, for a bulk job."""
        columns = (SagaRow.entered_at, SagaRow.id, SagaRow.state)
        return self._those(wanted, *columns).where(SagaRow.entered_at <= until)

    def page(
        self,
        wanted: SagaFilter,
        limit: int,
        after: tuple[datetime, UUID] | None = None,
        until: datetime | None = None,
    ) -> Sequence[Row[Any]]:
        """Return sagas, those longest in their state first.

        after: entered_at and id of the last saga of the page before. until: latest time of entering the state.
        """
        query = (
            self._those(wanted, *_SHOWN, self._unknown.label("unknown"))
            .order_by(SagaRow.entered_at, SagaRow.id)
            .limit(limit)
        )
        if after:
            query = query.where(tuple_(SagaRow.entered_at, SagaRow.id) > after)
        if until:
            query = query.where(SagaRow.entered_at <= until)
        return db.session.execute(query).all()

    def _those(self, wanted: SagaFilter, *columns: Any) -> Select[Any]:
        return select(*columns).where(UNFINISHED, self._is, *wanted.conditions(self._registry))


def _total(which: ColumnElement[bool]) -> ColumnElement[int]:
    """Return the sum, over all groups, of the sagas that meet a condition."""
    return func.sum(func.sum(case((which, 1), else_=0))).over()


def _stays_too_long(now: datetime, by_limit: Mapping[float, Sequence[StateKey]]) -> ColumnElement[bool]:
    here = tuple_(SagaRow.definition, SagaRow.definition_version, SagaRow.state)
    overstayed = [
        and_(
            SagaRow.status.in_((Status.PENDING, Status.WAITING, *UNDER_WAY)),
            or_(SagaRow.status != Status.PENDING, SagaRow.due_at.is_not(None)),  # nobody has begun a draft
            SagaRow.entered_at < now - timedelta(seconds=limit_s),
            here.in_(state_keys),
        )
        for limit_s, state_keys in by_limit.items()
    ]
    return or_(SagaRow.status == Status.STUCK, *overstayed)
