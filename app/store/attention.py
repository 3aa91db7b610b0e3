"""The sagas that a person should look at.

Such a saga is stuck, or stays in a state longer than its table expects, or has a table that this release lacks.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, func, not_, or_, select, tuple_

from app.store import queries
from app.store.causes import cause
from app.store.database import cause_of, db, seconds_until
from app.store.lists import SagaFilter, StateKey
from app.store.models import BRIEF_ERROR, UNFINISHED, SagaRow
from app.store.tables import table_is_known
from machines.registry import Registry
from machines.statuses import UNDER_WAY, Status

#: Most groups on a page. More groups probably have one common cause, and the list of sagas still shows every saga.
MOST_GROUPS = 50
#: Most errors that a statement names; with more, the database computes their causes.
_MOST_NAMED = 5_000
#: Columns of a saga on a page of the list.
_SHOWN = (
    SagaRow.id, SagaRow.definition, SagaRow.definition_version, SagaRow.state, SagaRow.status, SagaRow.client,
    SagaRow.store, BRIEF_ERROR.label("error"), SagaRow.entered_at, (-seconds_until(SagaRow.entered_at)).label("age_s"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CauseGroup:
    """Sagas that need attention in one state for one cause, with sums over all groups."""

    definition: str
    definition_version: int
    state: str
    status: str
    cause: str | None
    #: One error of the group, and the number of different ones.
    error: str | None
    errors: int
    sagas: int
    #: Seconds since the first of them entered its state.
    oldest_s: float
    #: True: this release lacks their table.
    unknown: bool
    #: Over all groups: the sagas, the groups, the sagas whose table this release lacks, and those that have stayed too
    #: long in their state.
    total: int
    total_groups: int
    total_unknown: int
    total_overstayed: int


class StateCount(NamedTuple):
    """The number of sagas that need attention in one state."""

    definition: str
    definition_version: int
    state: str
    status: str
    #: True: this release lacks their table.
    unknown: bool
    sagas: int


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
        #: The last filter of `_of_cause` without its cause, and its sagas; a page needs them several times.
        self._read: tuple[SagaFilter, Sequence[Row[*tuple[Any, ...]]]] | None = None

    def groups(self, wanted: SagaFilter) -> Sequence[CauseGroup]:
        """Return the sagas grouped by definition, state and cause of the error, the largest group first.

        The database groups them by the text of the error, and this process by its cause: the database would compute
        the causes of all sagas again for each page.
        """
        by_cause: dict[tuple[Any, ...], list[tuple[str | None, int, float]]] = {}
        for row in self._of_cause(wanted):
            *same, error, unknown, sagas, oldest_s = row
            by_cause.setdefault((*same, unknown, cause(error)), []).append((error, sagas, oldest_s))
        return _groups(by_cause)

    def errors(self, wanted: SagaFilter) -> Sequence[tuple[str, int]]:
        """Return the different errors of sagas with the number of sagas of each, the most frequent first."""
        sagas: Counter[str] = Counter()
        for row in self._of_cause(wanted):
            sagas[row.error] += row.sagas
        return sorted(sagas.items(), key=lambda item: (-item[1], item[0]))[:MOST_GROUPS]

    def count_of(self, wanted: SagaFilter) -> int:
        """Return the number of sagas that match."""
        return db.session.scalar(self._those(wanted, func.count())) or 0

    def by_state(self, wanted: SagaFilter) -> Sequence[StateCount]:
        """Return the number of sagas by definition, version, state and status, and if their table is unknown."""
        counted: Counter[tuple[str, int, str, str, bool]] = Counter()
        for row in self._of_cause(wanted):
            counted[row.definition, row.definition_version, row.state, row.status, bool(row.unknown)] += row.sagas
        return [StateCount(*same, sagas) for same, sagas in counted.items()]

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
        conditions = replace(wanted, cause=None).conditions(self._registry)
        if wanted.cause is not None:
            conditions.append(self._failed_for(wanted))
        return select(*columns).where(UNFINISHED, self._is, *conditions)

    def _of_cause(self, wanted: SagaFilter) -> Sequence[Row[*tuple[Any, ...]]]:
        """Return the sagas of the filter, grouped by state and by the text of their errors."""
        of_any_cause = replace(wanted, cause=None)
        if self._read is None or self._read[0] != of_any_cause:
            same = (SagaRow.definition, SagaRow.definition_version, SagaRow.state, SagaRow.status)
            error, unknown = BRIEF_ERROR.label("error"), self._unknown.label("unknown")
            oldest_s = (-seconds_until(func.min(SagaRow.entered_at))).label("oldest_s")
            counted = self._those(of_any_cause, *same, error, unknown, func.count().label("sagas"), oldest_s)
            # The error comes first: it differs most, so the database sorts by it alone. The connection returns plain
            # rows, of which there may be thousands.
            grouped = counted.group_by(error, *same, unknown)
            self._read = of_any_cause, db.session.connection().execute(grouped).all()
        rows = self._read[1]
        return rows if wanted.cause is None else [row for row in rows if (cause(row.error) or "") == wanted.cause]

    def _failed_for(self, wanted: SagaFilter) -> ColumnElement[bool]:
        """Return the condition for the sagas with the cause of the filter. It names their errors, unless too many."""
        if not wanted.cause:
            return SagaRow.error.is_(None)
        named = {row.error for row in self._of_cause(wanted)}
        return BRIEF_ERROR.in_(sorted(named)) if len(named) <= _MOST_NAMED else cause_of(BRIEF_ERROR) == wanted.cause


def _groups(by_cause: Mapping[tuple[Any, ...], Sequence[tuple[str | None, int, float]]]) -> Sequence[CauseGroup]:
    """Return the largest groups.

    by_cause: definition, version, state, status, whether the table is unknown, and cause → each error, the number of
    its sagas, and the age of the oldest in seconds.
    """
    totals, found = Counter[str](), []
    for same, rows in by_cause.items():
        _, _, _, status, unknown, _ = same
        errors, numbers, ages = zip(*rows, strict=True)
        sagas = sum(numbers)
        totals["total"] += sagas
        totals["total_unknown" if unknown else "total_stuck" if status == Status.STUCK else "total_overstayed"] += sagas
        found.append((sagas, max(ages), same, errors))
    found.sort(key=lambda group: (-group[0], -group[1]))
    return [
        CauseGroup(
            definition=definition,
            definition_version=version,
            state=state,
            status=status,
            cause=why,
            error=None if why is None else min(errors),
            errors=0 if why is None else len(errors),
            sagas=sagas,
            oldest_s=oldest_s,
            unknown=unknown,
            total=totals["total"],
            total_groups=len(by_cause),
            total_unknown=totals["total_unknown"],
            total_overstayed=totals["total_overstayed"],
        )
        for sagas, oldest_s, (definition, version, state, status, unknown, why), errors in found[:MOST_GROUPS]
    ]


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
