"""The sagas that need attention.

They are stuck, or in a state for longer than their table expects, or without a table in this release.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, not_, or_, select, tuple_

from app.store.database import db, db_now, seconds_until
from app.store.lists import means
from app.store.models import BRIEF_ERROR, UNFINISHED, SagaRow
from app.store.tables import at_hand
from machines.registry import Registry
from machines.statuses import UNDER_WAY, Status

#: A state of one version of a definition: name, version, state.
Place = tuple[str, int, str]
#: Most groups shown. With more causes at once there is one cause behind them, and the list shows every saga.
MOST_GROUPS = 50
#: Columns of a saga on a page of the list.
_SHOWN = (
    SagaRow.id, SagaRow.definition, SagaRow.definition_version, SagaRow.state, SagaRow.status, SagaRow.client,
    SagaRow.store, BRIEF_ERROR.label("error"), SagaRow.entered_at, (-seconds_until(SagaRow.entered_at)).label("age_s"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AttentionFilter:
    """Filter of the sagas that need attention."""

    #: Any of these definitions; empty: all.
    definitions: tuple[str, ...] = ()
    #: Version, also of a table that this release does not have.
    version: int | None = None
    #: State, also of a table that this release does not have.
    state: str | None = None
    #: Only these states; None: all.
    places: tuple[Place, ...] | None = None
    status: str | None = None
    #: Exact error; "" for sagas without one.
    error: str | None = None
    #: True: only sagas whose table this release lacks. False: only the others. None: both.
    unknown: bool | None = None
    #: Id or id prefix of a saga, or its client, order or key.
    words: str | None = None


class Attention:
    """The sagas that need attention, at one moment. limits: longest expected stay in each state, in seconds."""

    def __init__(self, registry: Registry, limits: Mapping[Place, float]) -> None:
        # Read first, because PostgreSQL plans well only for a moment that is a constant of the query.
        self.now = db.session.scalars(select(db_now())).one()
        by_limit: dict[float, list[Place]] = {}
        for place, limit_s in limits.items():
            by_limit.setdefault(limit_s, []).append(place)
        self._unknown = not_(at_hand(registry))
        self._is = or_(_stays_too_long(self.now, by_limit), self._unknown)

    def groups(self, sought: AttentionFilter) -> Sequence[Row[Any]]:
        """Return the sagas grouped by definition, state and error, the group with the oldest saga first.

        total: sagas of all groups. total_unknown: those without a table. total_overstayed: those with a table that are
        not stuck.
        """
        same = (
            SagaRow.definition,
            SagaRow.definition_version,
            SagaRow.state,
            SagaRow.status,
            BRIEF_ERROR.label("error"),
        )
        oldest = func.min(SagaRow.entered_at)
        overstayed = and_(SagaRow.status != Status.STUCK, not_(self._unknown))
        counted = self._those(
            sought,
            *same,
            func.count().label("sagas"),
            (-seconds_until(oldest)).label("oldest_s"),
            self._unknown.label("unknown"),
            func.sum(func.count()).over().label("total"),
            _total(self._unknown).label("total_unknown"),
            _total(overstayed).label("total_overstayed"),
        ).group_by(*same, "unknown")
        return db.session.execute(counted.order_by(oldest).limit(MOST_GROUPS)).all()

    def page(
        self,
        sought: AttentionFilter,
        limit: int,
        after: tuple[datetime, UUID] | None = None,
        until: datetime | None = None,
    ) -> Sequence[Row[Any]]:
        """Return the sagas longest in their state first. after: entered_at and id of the last saga seen."""
        listed = (
            self._those(sought, *_SHOWN, self._unknown.label("unknown"))
            .order_by(SagaRow.entered_at, SagaRow.id)
            .limit(limit)
        )
        if after:
            listed = listed.where(tuple_(SagaRow.entered_at, SagaRow.id) > after)
        if until:
            listed = listed.where(SagaRow.entered_at <= until)
        return db.session.execute(listed).all()

    def _those(self, sought: AttentionFilter, *columns: Any) -> Select[Any]:
        here = tuple_(SagaRow.definition, SagaRow.definition_version, SagaRow.state)
        conditions = [
            SagaRow.definition.in_(sought.definitions) if sought.definitions else None,
            SagaRow.definition_version == sought.version if sought.version is not None else None,
            SagaRow.state == sought.state if sought.state is not None else None,
            here.in_(sought.places) if sought.places is not None else None,
            SagaRow.status == sought.status if sought.status else None,
            func.coalesce(BRIEF_ERROR, "") == sought.error if sought.error is not None else None,
            None if sought.unknown is None else self._unknown if sought.unknown else not_(self._unknown),
            means(sought.words) if sought.words else None,
        ]
        return select(*columns).where(UNFINISHED, self._is, *(found for found in conditions if found is not None))


def _total(which: ColumnElement[bool]) -> ColumnElement[int]:
    """Return the sum, over all groups, of the sagas that meet a condition."""
    return func.sum(func.sum(case((which, 1), else_=0))).over()


def _stays_too_long(now: datetime, by_limit: Mapping[float, Sequence[Place]]) -> ColumnElement[bool]:
    here = tuple_(SagaRow.definition, SagaRow.definition_version, SagaRow.state)
    overstayed = [
        and_(
            SagaRow.status.in_((Status.PENDING, *UNDER_WAY)),
            SagaRow.entered_at < now - timedelta(seconds=limit_s),
            here.in_(places),
        )
        for limit_s, places in by_limit.items()
    ]
    return or_(SagaRow.status == Status.STUCK, *overstayed)
