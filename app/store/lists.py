"""Lists of sagas: the filters, the search by the text of a search box, and the pages.

The list of the admin pages is as fast with a million sagas as with a hundred. It never sorts all sagas: one query reads
the unfinished sagas, which are few, and one query for each definition reads its ended sagas through an index that has
the order of the list.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    case,
    func,
    literal_column,
    not_,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.orm import aliased

from app.store.bulk import stuck_again
from app.store.cases import chosen
from app.store.database import cause_of, db, db_now, seconds_between
from app.store.instance import search_text
from app.store.models import BRIEF_ERROR, ENDED, UNFINISHED, SagaRow, SagaTagRow
from app.store.queries import Reach, backs_off, parent_within, within
from app.store.search import (
    beyond,
    exact_first,
    failed_with,
    got_stuck,
    is_cut,
    is_exact,
    named_by,
    slower_than,
    valued_by,
)
from app.store.tables import table_is_known, without_table
from app.store.unknown_effects import still_unknown
from machines.branches import is_branch_name
from machines.registry import Registry
from machines.statuses import FINISHED, Status

#: Largest total of a list, in sagas. More sagas are not counted, because that takes too long for a number in a page.
LARGEST_TOTAL = 10_000

#: Sort keys of a list: columns of a saga. A minus before the name reverses the order.
SORTS = ("created_at", "updated_at")
#: Orders of `newest`: by start; by the last change or the time taken, among the newest MOST_SORTED sagas only.
ORDERS = ("-created_at", "created_at", "-updated_at", "-took")
MOST_SORTED = 1000


#: A state of one version of a definition: name of the definition, version, state.
StateKey = tuple[str, int, str]
#: (definition, finished status) → the end states with this status, of all versions of the definition.
Ends = Mapping[tuple[str, str], frozenset[str]]
#: Columns of a saga on a page of `newest`.
_SHOWN: tuple[Any, ...] = (
    SagaRow.id, SagaRow.definition, SagaRow.definition_version, SagaRow.state, SagaRow.status, SagaRow.client,
    SagaRow.order_ref, SagaRow.store, BRIEF_ERROR.label("error"), SagaRow.created_at, SagaRow.updated_at,
    SagaRow.owner, SagaRow.attempt, SagaRow.deferrals, SagaRow.parent_id, SagaRow.parent_step, SagaRow.child_number,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SagaFilter:
    """Filter of a list of sagas. A field with its default value admits every saga."""

    #: Any of these definitions; empty: all.
    definitions: tuple[str, ...] = ()
    #: Version of the definition, also of a table that this release does not have.
    version: int | None = None
    #: Any of these statuses; empty: all.
    statuses: tuple[str, ...] = ()
    #: States in which a saga that backs off also has the status `waiting`, as people see it; None: in none.
    held_in: tuple[StateKey, ...] | None = None
    #: False: leave out the sagas that back off in one of `held_in`, whatever their status.
    backs_off: bool | None = None
    #: Any of these states, also of a table that this release does not have; empty: all.
    states: tuple[str, ...] = ()
    #: Any of these states, in which no saga ends, each of one version of a definition; None: all.
    state_keys: tuple[StateKey, ...] | None = None
    #: Sagas created at this time or later.
    created_from: datetime | None = None
    #: Sagas created before this time.
    created_to: datetime | None = None
    #: Sagas that came to their state at this time or later.
    entered_from: datetime | None = None
    #: Sagas that got stuck at this time or later, also those that are not stuck any more.
    stuck_from: datetime | None = None
    client: str | None = None
    store: str | None = None
    #: Business reference: the value of the table's `order`.
    order: str | None = None
    #: Name and value of tags; a saga must have all of them.
    tags: tuple[tuple[str, str], ...] = ()
    #: Exact text of the error as a list shows it: a list shortens a long error. "": sagas without an error.
    error: str | None = None
    #: Cause of the error, see `app.store.causes.cause`. "": sagas without an error.
    cause: str | None = None
    #: True: only unfinished sagas whose table the registry lacks. False: only sagas whose table the registry has.
    unknown: bool | None = None
    #: True: only ended sagas with an effect that nobody knows, see app.store.unknown_effects. False: no such saga.
    still_unknown: bool | None = None
    #: Sagas that wait before their next attempt in one of these states; None: all.
    waiting_in: tuple[StateKey, ...] | None = None
    #: Word of `app.store.cases.chosen`, and the actor for `mine`; None: all.
    case: tuple[str, str] | None = None
    #: The sagas that the sender of the request may read.
    reach: Reach = None
    #: The children of this saga; None: all.
    parent: UUID | None = None
    #: Any of these sagas; empty: all.
    ids: tuple[UUID, ...] = ()
    #: The sagas that are stuck again after this bulk job; None: all.
    job: UUID | None = None
    #: True: leave out the children that a step of another saga has started, with the exceptions of `root`.
    roots: bool = False
    #: Text of a search, see app.store.search.
    words: str | None = None
    #: Part of the error as a list shows it, in small and large letters alike.
    error_contains: str | None = None
    #: Sagas that have taken at least this time, in seconds, until their end or until now.
    slower_than_s: float | None = None
    #: Sagas of this tenant. The database hides those of other tenants from a sender with a tenant anyway.
    tenant: str | None = None

    def conditions(self, registry: Registry | None = None) -> list[ColumnElement[bool]]:
        """Return the filter as SQL conditions.

        registry: required when `unknown`, `still_unknown`, `stuck_from` or `error_contains` is set.
        """
        of_registry = None
        if self.unknown is not None:
            assert registry is not None, "the registry decides which table is unknown"
            of_registry = without_table(registry) if self.unknown else table_is_known(registry)
        undecided = None
        if self.still_unknown is not None:
            assert registry is not None, "the registry knows which states leave an effect unknown"
            undecided = still_unknown(registry) if self.still_unknown else not_(still_unknown(registry))
        failed: tuple[ColumnElement[bool], ...] = ()
        if self.error_contains is not None:
            assert registry is not None, "the registry knows which tables have secrets"
            failed = failed_with(self.error_contains, registry)
        stuck_since = None
        if self.stuck_from is not None:
            assert registry is not None, "the registry knows in which states a saga is stuck"
            stuck_since = got_stuck(self.stuck_from, registry)
        here = tuple_(SagaRow.definition, SagaRow.definition_version, SagaRow.state)
        conditions = (
            SagaRow.definition.in_(self.definitions) if self.definitions else None,
            SagaRow.definition_version == self.version if self.version is not None else None,
            self._of_status() if self.statuses else None,
            not_(self._is_held()) if self.backs_off is False else None,
            SagaRow.state.in_(self.states) if self.states else None,
            and_(UNFINISHED, here.in_(self.state_keys)) if self.state_keys is not None else None,
            SagaRow.created_at >= self.created_from if self.created_from else None,
            SagaRow.entered_at >= self.entered_from if self.entered_from else None,
            stuck_since,
            SagaRow.created_at < self.created_to if self.created_to else None,
            *self._named(SagaRow),
            func.coalesce(BRIEF_ERROR, "") == self.error if self.error is not None else None,
            func.coalesce(cause_of(BRIEF_ERROR), "") == self.cause if self.cause is not None else None,
            of_registry,
            undecided,
            and_(backs_off(), here.in_(self.waiting_in)) if self.waiting_in is not None else None,
            chosen(*self.case) if self.case else None,
            and_(SagaRow.parent_id == self.parent, parent_within(self.reach)) if self.parent is not None else None,
            SagaRow.id.in_(self.ids) if self.ids else None,
            SagaRow.id.in_(stuck_again(self.job)) if self.job is not None else None,
            named_by(self.words) if self.words else None,
            *failed,
            SagaRow.tenant == search_text(self.tenant) if self.tenant is not None else None,
            slower_than(self.slower_than_s) if self.slower_than_s is not None else None,
            within(self.reach) if self.reach is not None else None,
        )
        return [condition for condition in conditions if condition is not None]

    @property
    def root(self) -> tuple[ColumnElement[bool], ...]:
        """The condition for sagas without a parent within `reach`; no condition when the list shows children, too.

        A search, and a filter by the client, the store, the order or a tag, also finds a child, unless its parent is
        found: the parent says what its child has done. A branch always has a parent, so a filter by the table of a
        branch finds its saga.
        The condition is no part of `conditions`, because it excludes few sagas: it does not decide how a list is read.
        """
        if not self.roots:
            return ()
        parent = aliased(SagaRow)
        if named := [*self._named(parent), *([valued_by(self.words, parent)] if self.words else [])]:
            named += [parent.definition.in_(self.definitions)] if self.definitions else []
            named += [parent.status.in_(self.statuses)] if self.statuses else []
            found = select(parent.id).where(parent.id == SagaRow.parent_id, within(self.reach, parent), *named)
            root = not_(found.exists())
        else:
            root = SagaRow.parent_id.is_(None) if self.reach is None else not_(parent_within(self.reach))
        branches = [name for name in self.definitions if is_branch_name(name)]
        return (or_(root, SagaRow.definition.in_(branches)) if branches else root,)

    @property
    def searches(self) -> bool:
        """True when no index serves the filter, so that a list must bound the sagas that it looks at."""
        given = (self.error_contains, self.slower_than_s, self.entered_from, self.stuck_from)
        return any(value is not None for value in given) and not self.finds_few

    @property
    def is_short(self) -> bool:
        """True when an index finds the matching sagas, and they are few enough to be sorted."""
        unfinished = bool(self.statuses) and not set(self.statuses) & set(FINISHED)
        return self.finds_few or unfinished or self.client is not None

    @property
    def finds_few(self) -> bool:
        """True when the filter has a value that an index finds, so that only few sagas match."""
        named = (self.order, self.parent, self.waiting_in, self.state_keys)
        return bool(self.words or self.tags or self.still_unknown) or any(value is not None for value in named)

    def _of_status(self) -> ColumnElement[bool]:
        stored = SagaRow.status.in_(self.statuses)
        return or_(stored, self._is_held()) if self.held_in and Status.WAITING in self.statuses else stored

    def _is_held(self) -> ColumnElement[bool]:
        here = tuple_(SagaRow.definition, SagaRow.definition_version, SagaRow.state)
        return and_(backs_off(), here.in_(self.held_in or ()))

    def _named(self, saga: type[SagaRow]) -> list[ColumnElement[bool]]:
        """Return the conditions for the client, the store, the order and the tags. saga: the row, or an alias of it."""
        values = ((saga.client, self.client), (saga.store, self.store), (saga.order_ref, self.order))
        return [
            *(column == search_text(value) for column, value in values if value is not None),
            *(self._tagged(saga, name, value) for name, value in self.tags),
        ]

    def _tagged(self, saga: type[SagaRow], name: str, value: str) -> ColumnElement[bool]:
        """Return the condition for sagas with a tag.

        The definition is also compared in the tag's row, so that the index of tags can use it.
        """
        tagged = select(SagaTagRow.saga_id).where(SagaTagRow.name == name, SagaTagRow.value == search_text(value))
        if self.definitions:
            tagged = tagged.where(SagaTagRow.definition.in_(self.definitions))
        return saga.id.in_(tagged)


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a list. `total` is exact below LARGEST_TOTAL."""

    sagas: Sequence[SagaRow]
    total: int
    has_more: bool

    @property
    def following(self) -> tuple[datetime, UUID] | None:
        """created_at and id of the last saga, after which the next page begins; None on the last page."""
        return (self.sagas[-1].created_at, self.sagas[-1].id) if self.has_more else None


def page(
    wanted: SagaFilter, registry: Registry, *, sort: str = "-created_at", limit: int = 50, offset: int = 0,
    after: tuple[datetime, UUID] | None = None,
) -> Page:  # fmt: skip
    """Return a page of the matching sagas. after: `following` of the page before; it requires a sort by created_at.

    What a search finds exactly comes before what only begins so.
    """
    matching = select(SagaRow).where(*wanted.conditions(registry), *wanted.root)
    counted = matching.with_only_columns(SagaRow.id).limit(LARGEST_TOTAL).subquery()
    saga: type[SagaRow] = SagaRow
    exact: ColumnElement[int] | None = None
    if wanted.words:
        # MATERIALIZED, because otherwise PostgreSQL may read all sagas in the list's order to find those of the words.
        ranked = matching.add_columns(is_exact(wanted.words).label("is_exact"))
        found = ranked.cte("found").prefix_with("MATERIALIZED")
        saga, exact = aliased(SagaRow, found), found.c.is_exact
        matching = select(saga)
    down = sort.startswith("-")
    query = matching
    if after is not None:
        query = query.where(beyond(after, saga.created_at, saga.id, wanted.words, exact, down=down))
    by = (getattr(saga, sort.removeprefix("-")), saga.id)
    ordered = query.order_by(*exact_first(exact), *(column.desc() if down else column.asc() for column in by))
    sagas = list(db.session.scalars(ordered.limit(limit + 1).offset(offset)))
    total = db.session.scalar(select(func.count()).select_from(counted)) or 0
    return Page(sagas=sagas[:limit], total=total, has_more=len(sagas) > limit)


def newest(
    wanted: SagaFilter, ends: Ends, limit: int, after: tuple[datetime, UUID] | None = None,
    registry: Registry | None = None, *, order: str = ORDERS[0], among: int = MOST_SORTED,
) -> Sequence[Row[Any]]:  # fmt: skip
    """Return one page of the admin list. ends: the end states of all definitions.

    after: created_at and id of the last saga of the page before. registry: see `SagaFilter.conditions`. order: one of
    ORDERS. among: how many of the newest sagas an order other than by start looks at. The rows of a search say in
    `is_cut` whether it has found only a part of the sagas that begin so.
    """
    parts = list(_parts(wanted, registry, ends))
    if not parts:
        return []
    by_start, down = order.endswith("created_at"), order.startswith("-")
    most = limit if by_start else among
    pages = (select(_ordered(part, most, after, wanted.words, down=down).subquery()) for part in parts)
    found = _ordered(select(union_all(*pages).subquery()), most, down=down)
    if not by_start:
        sagas = found.subquery()
        taken = case((sagas.c.status.in_(FINISHED), sagas.c.updated_at), else_=db_now())
        by = sagas.c.updated_at if order == "-updated_at" else seconds_between(sagas.c.created_at, taken)
        found = select(sagas).order_by(*exact_first(sagas.c.get("is_exact")), by.desc(), sagas.c.id.desc()).limit(limit)
    if wanted.words:
        found = found.add_columns(is_cut(wanted.words).label("is_cut"))
    return db.session.execute(found).all()


def total(wanted: SagaFilter, ends: Ends, registry: Registry) -> int:
    """Return the number of sagas on all pages of the admin list, exact below LARGEST_TOTAL. See `newest`."""
    parts = [part.with_only_columns(part.selected_columns.id) for part in _parts(wanted, registry, ends)]
    if not parts:
        return 0
    found = select(union_all(*parts).subquery()).limit(LARGEST_TOTAL).subquery()
    return db.session.scalar(select(func.count()).select_from(found)) or 0


def stuck_children(wanted: SagaFilter, registry: Registry) -> int:
    """Return the number of stuck sagas that match, and that a list with `roots` leaves out."""
    conditions = replace(wanted, statuses=(Status.STUCK,)).conditions(registry)
    left_out = select(func.count()).where(UNFINISHED, not_(and_(*wanted.root)), *conditions)
    return db.session.scalar(left_out.select_from(SagaRow)) or 0


def _parts(wanted: SagaFilter, registry: Registry | None, ends: Ends) -> Iterator[Select[Any]]:
    """Yield queries for parts of the list. Each reads an index in the order of the list, or finds few rows."""
    every, conditions = select(*_SHOWN).where(*wanted.root), wanted.conditions(registry)
    if wanted.words:
        every = every.add_columns(is_exact(wanted.words).label("is_exact"))
        yield select(every.where(*conditions).cte("found").prefix_with("MATERIALIZED"))
        return
    if wanted.finds_few or wanted.error_contains is not None or not conditions:
        yield every.where(*conditions)
        return
    if not wanted.statuses or set(wanted.statuses) - set(FINISHED):
        # MATERIALIZED, because otherwise PostgreSQL may read all sagas in the list's order to find unfinished ones.
        yield select(every.where(UNFINISHED, *conditions).cte("unfinished").prefix_with("MATERIALIZED"))
    for (definition, status), states in ends.items():
        passes = (
            (not wanted.definitions or definition in wanted.definitions)
            and (not wanted.statuses or status in wanted.statuses)
            and (not wanted.states or not states.isdisjoint(wanted.states))
        )
        if passes:
            # The values are written into the statement, because SQLite uses the index only then.
            here = SagaRow.definition == definition, SagaRow.status == literal_column(f"'{status}'")
            yield every.where(ENDED, *here, *conditions)


def _ordered(
    part: Select[Any], limit: int, after: tuple[datetime, UUID] | None = None, words: str | None = None, *, down: bool
) -> Select[Any]:
    columns = part.selected_columns
    at, saga_id, exact = columns.created_at, columns.id, columns.get("is_exact")
    following = part.where(beyond(after, at, saga_id, words, exact, down=down)) if after else part
    by = (column.desc() if down else column.asc() for column in (at, saga_id))
    return following.order_by(*exact_first(exact), *by).limit(limit)
