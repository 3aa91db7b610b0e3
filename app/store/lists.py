"""Lists of sagas: the filters, the search by the text of a search box, and the pages.

The list of the admin pages takes as long with a million sagas as with a hundred. A filter runs once over the unfinished
sagas, which are few, and once over each definition's ended sagas through an index in the order of the list: no query
plan can sort a million rows.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, func, literal_column, or_, select, tuple_, union_all

from app.store.database import db
from app.store.instance import search_text
from app.store.models import BRIEF_ERROR, ENDED, UNFINISHED, SagaRow
from app.store.tables import without_table
from machines.registry import Registry
from machines.statuses import FINISHED

#: Largest exact total of a list; counting millions would take too long for its use.
LARGEST_TOTAL = 10_000

#: Sort keys of a list; a minus before the name reverses the order.
SORTS = {"created_at": SagaRow.created_at, "updated_at": SagaRow.updated_at}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Filter of a list."""

    #: Any of these definitions; empty: all.
    definitions: tuple[str, ...] = ()
    #: Any of these statuses; empty: all.
    statuses: tuple[str, ...] = ()
    #: Any of these states; empty: all.
    states: tuple[str, ...] = ()
    #: Earliest creation, included.
    created_from: datetime | None = None
    #: Latest creation, excluded.
    created_to: datetime | None = None
    client: str | None = None
    store: str | None = None
    #: Only unfinished sagas whose table this registry does not have.
    unknown_to: Registry | None = None


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a list. `total` is exact below LARGEST_TOTAL."""

    sagas: Sequence[SagaRow]
    total: int
    has_more: bool

    @property
    def following(self) -> tuple[datetime, UUID] | None:
        """The place after which the next page begins; None on the last page."""
        return (self.sagas[-1].created_at, self.sagas[-1].id) if self.has_more else None


def page(
    wanted: Filter, *, sort: str = "-created_at", limit: int = 50, offset: int = 0,
    after: tuple[datetime, UUID] | None = None,
) -> Page:  # fmt: skip
    """Return a page of the matching sagas. `after`, a page's `following`, needs a sort by created_at."""
    query = _passing(wanted)
    down = sort.startswith("-")
    if after is not None:
        place = tuple_(SagaRow.created_at, SagaRow.id)
        query = query.where(place < after if down else place > after)
    by = (SORTS[sort.removeprefix("-")], SagaRow.id)
    ordered = query.order_by(*(column.desc() if down else column.asc() for column in by))
    sagas = list(db.session.scalars(ordered.limit(limit + 1).offset(offset)))
    counted = _passing(wanted).with_only_columns(SagaRow.id).limit(LARGEST_TOTAL).subquery()
    total = db.session.scalar(select(func.count()).select_from(counted)) or 0
    return Page(sagas=sagas[:limit], total=total, has_more=len(sagas) > limit)


def _passing(wanted: Filter) -> Select[SagaRow]:
    conditions: list[ColumnElement[bool] | None] = [
        SagaRow.definition.in_(wanted.definitions) if wanted.definitions else None,
        SagaRow.status.in_(wanted.statuses) if wanted.statuses else None,
        SagaRow.state.in_(wanted.states) if wanted.states else None,
        SagaRow.created_at >= wanted.created_from if wanted.created_from else None,
        SagaRow.created_at < wanted.created_to if wanted.created_to else None,
        SagaRow.client == search_text(wanted.client) if wanted.client is not None else None,
        SagaRow.store == search_text(wanted.store) if wanted.store is not None else None,
        without_table(wanted.unknown_to) if wanted.unknown_to is not None else None,
    ]
    return select(SagaRow).where(*(condition for condition in conditions if condition is not None))


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


_HEX_DIGITS = 32
#: Fewest digits of an id prefix; a shorter number is more likely a customer's or an order's.
_SHORTEST_PREFIX = 6


def means(words: str) -> ColumnElement[bool]:
    """Return the condition for sagas that the text may name: by id or id prefix, client, order or idempotency key."""
    whose = [
        SagaRow.client == search_text(words),
        SagaRow.order_ref == search_text(words),
        SagaRow.idempotency_key == words,
    ]
    return or_(*whose, _begins(words)) if id_prefix(words) else or_(*whose)


def id_prefix(words: str) -> str | None:
    """Return the digits if the text is an id or an id prefix, otherwise None."""
    digits = words.replace("-", "").lower()
    return digits if re.fullmatch(rf"[0-9a-f]{{{_SHORTEST_PREFIX},{_HEX_DIGITS}}}", digits) else None


def _begins(words: str) -> ColumnElement[bool]:
    digits = id_prefix(words) or ""
    first, last = (UUID(digits.ljust(_HEX_DIGITS, filler)) for filler in "0f")
    return and_(SagaRow.id >= first, SagaRow.id <= last)
