"""Lists of sagas, the newest first, that take as long with a million sagas as with a hundred.

A filter runs once over the unfinished sagas, which are few, and once over each definition's ended sagas through an
index in the order of the list: no query plan can sort a million rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, literal_column, select, tuple_, union_all

from app.store.database import db
from app.store.models import BRIEF_ERROR, ENDED, UNFINISHED, SagaRow
from app.store.search import means
from machines.statuses import FINISHED

_SHOWN: tuple[Any, ...] = (
    SagaRow.id, SagaRow.definition, SagaRow.definition_version, SagaRow.state, SagaRow.status, SagaRow.client,
    SagaRow.order_ref, SagaRow.store, BRIEF_ERROR.label("error"), SagaRow.created_at,
)  # fmt: skip


#: (definition, finished status) → states that such a saga may be in, in any version.
Ends = Mapping[tuple[str, str], frozenset[str]]


@dataclass(frozen=True, kw_only=True)
class ListFilter:
    """Filter of a list: any of the given values, and sagas that the words may name."""

    definitions: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    words: str | None = None

    @property
    def everything(self) -> bool:
        return not (self.definitions or self.statuses or self.states)


def newest(
    listed: ListFilter, ends: Ends, limit: int, after: tuple[datetime, UUID] | None = None
) -> Sequence[Row[Any]]:
    """Return one page of the list. ends: of every definition. after: created_at and id of the last saga seen."""
    parts = list(_parts(listed, ends))
    if not parts:
        return []
    found = union_all(*(select(_ordered(part, limit, after).subquery()) for part in parts)).subquery()
    return db.session.execute(select(found).order_by(found.c.created_at.desc(), found.c.id.desc()).limit(limit)).all()


def _parts(listed: ListFilter, ends: Ends) -> Iterator[Select[Any]]:
    """Yield queries that an index answers in the list's order, or that find few rows."""
    every = select(*_SHOWN)
    if listed.words:
        yield every.where(means(listed.words), *_filters(listed))
    elif listed.everything:
        yield every
    else:
        if not listed.statuses or set(listed.statuses) - set(FINISHED):
            # Materialized: otherwise PostgreSQL may scan all sagas in list order until it has found enough.
            found = every.where(UNFINISHED, *_filters(listed)).cte("unfinished").prefix_with("MATERIALIZED")
            yield select(found)
        for (definition, status), states in ends.items():
            passes = (
                (not listed.definitions or definition in listed.definitions)
                and (not listed.statuses or status in listed.statuses)
                and (not listed.states or not states.isdisjoint(listed.states))
            )
            if passes:
                # SQLite uses the index only when the values of its first two columns are written out.
                here = SagaRow.definition == definition, SagaRow.status == literal_column(f"'{status}'")
                yield every.where(ENDED, *here, *_filters(listed))


def _filters(listed: ListFilter) -> Iterator[ColumnElement[bool]]:
    if listed.definitions:
        yield SagaRow.definition.in_(listed.definitions)
    if listed.statuses:
        yield SagaRow.status.in_(listed.statuses)
    if listed.states:
        yield SagaRow.state.in_(listed.states)


def _ordered(part: Select[Any], limit: int, after: tuple[datetime, UUID] | None) -> Select[Any]:
    at, saga_id = part.selected_columns.created_at, part.selected_columns.id
    beyond = part.where(tuple_(at, saga_id) < after) if after else part
    return beyond.order_by(at.desc(), saga_id.desc()).limit(limit)
