"""The sagas that somebody should see to: those that are stuck, those that stay in a state for longer than their table
allows, and those whose table this release does not have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, not_, or_, select, tuple_

from app.store.database import db, db_now, seconds_until
from app.store.finding import means
from app.store.instance import UNDER_WAY
from app.store.models import BRIEF_ERROR, UNFINISHED, SagaRow
from app.store.tables import at_hand
from machines.registry import Registry

#: A state of one version of a definition: name, version, state.
Place = tuple[str, int, str]
#: More causes than this at once are one cause: the list below them shows every saga.
MOST_GROUPS = 50
#: What a page of the list shows of a saga.
_SHOWN = (
    SagaRow.id, SagaRow.definition, SagaRow.definition_version, SagaRow.state, SagaRow.status, SagaRow.client,
    SagaRow.store, BRIEF_ERROR.label("error"), SagaRow.entered_at, (-seconds_until(SagaRow.entered_at)).label("age_s"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Sought:
    """Which of them. definitions: any of these. version, state: of a table that may not be in this release.
    places: only these states. error: word for word; "" for none.
    unknown: True for those whose table this release does not have, False for all others, None for both.
    words: a saga's id or its beginning, or whose it is.
    """

    definitions: tuple[str, ...] = ()
    version: int | None = None
    state: str | None = None
    places: tuple[Place, ...] | None = None
    status: str | None = None
    error: str | None = None
    unknown: bool | None = None
    words: str | None = None


class Trouble:
    """A look at them at one moment. limits: for how many seconds a saga may stay in each place."""

    def __init__(self, registry: Registry, limits: Mapping[Place, float]) -> None:
        # Asked for before, for PostgreSQL plans with a moment that it knows.
        self.now = db.session.scalars(select(db_now())).one()
        by_limit: dict[float, list[Place]] = {}
        for place, limit_s in limits.items():
            by_limit.setdefault(limit_s, []).append(place)
        self._unknown = not_(at_hand(registry))
        self._is = or_(_stays_too_long(self.now, by_limit), self._unknown)

    def groups(self, sought: Sought) -> Sequence[Row[Any]]:
        """Count them by what they have in common, the group with the oldest first.

        total: of all groups. total_unknown, total_overstayed: of these, without a table, and neither that nor stuck.
        """
        same = (
            SagaRow.definition,
            SagaRow.definition_version,
            SagaRow.state,
            SagaRow.status,
            BRIEF_ERROR.label("error"),
        )
        oldest = func.min(SagaRow.entered_at)
        overstayed = and_(SagaRow.status != "stuck", not_(self._unknown))
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
        self, sought: Sought, limit: int, after: tuple[datetime, UUID] | None = None, until: datetime | None = None
    ) -> Sequence[Row[Any]]:
        """Give those that have been there for longest. after: entered_at and id of the last one seen."""
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

    def _those(self, sought: Sought, *columns: Any) -> Select[Any]:
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
    """Count those of all groups that are so."""
    return func.sum(func.sum(case((which, 1), else_=0))).over()


def _stays_too_long(now: datetime, by_limit: Mapping[float, Sequence[Place]]) -> ColumnElement[bool]:
    here = tuple_(SagaRow.definition, SagaRow.definition_version, SagaRow.state)
    overstayed = [
        and_(
            SagaRow.status.in_(("pending", *UNDER_WAY)),
            SagaRow.entered_at < now - timedelta(seconds=limit_s),
            here.in_(places),
        )
        for limit_s, places in by_limit.items()
    ]
    return or_(SagaRow.status == "stuck", *overstayed)
