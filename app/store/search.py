"""The conditions of a search: the text of a search box, a part of an error, and a time that a saga has taken.

The text of a search box finds sagas with this id, client, business reference, tag or idempotency key. A client, a
reference and a tag are also found by their beginning, in small and large letters alike.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, literal, or_, select, tuple_, union_all

from app.store.database import db, folded, place_in, seconds_between, seconds_until
from app.store.instance import search_text
from app.store.models import BRIEF_ERROR, JournalRow, SagaRow, SagaTagRow
from app.store.saga_ids import id_conditions
from machines.registry import Registry
from machines.statuses import FINISHED
from machines.transitions import Phase

#: Most sagas that a search finds by the beginning of their clients; the same number by references, and by tags. "4"
#: may begin a million clients.
MOST_BEGINNING = 500
#: Most sagas that a search without an index looks at, the newest first.
MOST_SEARCHED = 10_000
#: Character that sorts behind every text with the same beginning.
_LAST = "\U0010ffff"
_HEX_DIGITS = 32
#: Fewest digits of a part of an id in a search. A shorter number is more likely the number of a customer or an order.
_SHORTEST_PART = 6


def named_by(words: str) -> ColumnElement[bool]:
    """Return the condition for the sagas that a search finds.

    Each part of the union is read through an index of its own; one condition with OR would read all sagas.
    """
    parts = [select(SagaRow.id).where(SagaRow.idempotency_key == words)]
    if digits := id_digits(words):
        parts += (select(SagaRow.id).where(each) for each in id_conditions(SagaRow.id, digits))
    return SagaRow.id.in_(union_all(*parts, *_valued(words)))


def valued_by(words: str, saga: type[SagaRow]) -> ColumnElement[bool]:
    """Return the condition for the sagas that a search finds by a value that their family has in common.

    These are the client, the business reference and the tags. saga: an alias of the row.
    """
    return saga.id.in_(union_all(*_valued(words)))


def _valued(words: str) -> Sequence[Select[Any]]:
    exact = (SagaRow.client == search_text(words), SagaRow.order_ref == search_text(words))
    begins = (select(each.limit(MOST_BEGINNING).subquery().c.id) for each in _beginning(words))
    return [*(select(SagaRow.id).where(each) for each in exact), *begins]


def is_exact(words: str) -> ColumnElement[int]:
    """Return 1 for a saga whose id, client, reference, tag or key is these words in any letter case, otherwise 0."""
    same, digits = folded(literal(search_text(words))), id_digits(words) or ""
    tagged = exists().where(SagaTagRow.saga_id == SagaRow.id, folded(SagaTagRow.value) == same)
    named = [folded(SagaRow.client) == same, folded(SagaRow.order_ref) == same, SagaRow.idempotency_key == words]
    if len(digits) == _HEX_DIGITS:
        named.append(SagaRow.id == UUID(digits))
    return case((or_(*named, tagged), 1), else_=0)


def exact_first(exact: ColumnElement[int] | None) -> Sequence[ColumnElement[int]]:
    """Return how a list begins to sort: what a search finds exactly comes first. exact: `is_exact`; None: no search."""
    return () if exact is None else (exact.desc(),)


def beyond(
    after: tuple[datetime, UUID], at: Any, saga_id: Any, words: str | None, exact: ColumnElement[int] | None, *,
    down: bool,
) -> ColumnElement[bool]:  # fmt: skip
    """Return the condition for the sagas behind the last one of the page before, in the order of the list.

    after: created_at and id of this last saga. words: of the search, with `is_exact` of each saga; None: no search.
    """
    position = tuple_(at, saga_id)
    later = position < after if down else position > after
    if exact is None or words is None:
        return later
    last = func.coalesce(select(is_exact(words)).where(SagaRow.id == after[1]).scalar_subquery(), 0)
    return or_(exact < last, and_(exact == last, later))


def is_cut(words: str) -> ColumnElement[bool]:
    """Return the value True when more sagas begin with these words than a search finds."""
    counted = (
        select(func.count()).select_from(each.limit(MOST_BEGINNING + 1).subquery()).scalar_subquery()
        for each in _beginning(words)
    )
    return or_(*(number > MOST_BEGINNING for number in counted))


def failed_with(part: str, registry: Registry) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for sagas whose error contains a text.

    Sagas whose table has secrets are left out: a list hides secrets in errors, so a search must not tell them.
    """
    secret = [name for name in registry.names_with_branches if registry.secrets_of(name) is not None]
    open_ones = (SagaRow.definition.not_in(secret),) if secret else ()
    return (SagaRow.error.is_not(None), place_in(BRIEF_ERROR, literal(part)) > 0, *open_ones)


def slower_than(seconds: float) -> ColumnElement[bool]:
    """Return the condition for sagas that have taken this time, until their end or until now."""
    ended_s, open_s = seconds_between(SagaRow.created_at, SagaRow.updated_at), -seconds_until(SagaRow.created_at)
    return case((SagaRow.status.in_(FINISHED), ended_s), else_=open_s) >= seconds


def got_stuck(since: datetime, registry: Registry) -> ColumnElement[bool]:
    """Return the condition for sagas that got stuck since this time, also those that are not stuck any more."""
    stuck = {state.name for table in registry for state in table.states.values() if state.phase is Phase.STUCK}
    entry = JournalRow.at >= since, JournalRow.dest.in_(sorted(stuck))
    return and_(SagaRow.entered_at >= since, exists().where(JournalRow.saga_id == SagaRow.id, *entry))


def oldest_searched(before: datetime | None, *, with_error: bool) -> datetime | None:
    """Return when the oldest saga was created that a search without an index looks at; None: it looks at all sagas.

    before: only sagas created before this time; None: all. with_error: only sagas with an error.
    """
    newest = select(SagaRow.created_at).order_by(SagaRow.created_at.desc()).offset(MOST_SEARCHED - 1).limit(1)
    if with_error:
        newest = newest.where(SagaRow.error.is_not(None))
    if before is not None:
        newest = newest.where(SagaRow.created_at < before)
    return db.session.scalar(newest)


def id_digits(words: str) -> str | None:
    """Return the digits, without hyphens, if the text is an id or a part of one, otherwise None."""
    digits = words.replace("-", "").lower()
    return digits if re.fullmatch(rf"[0-9a-f]{{{_SHORTEST_PART},{_HEX_DIGITS}}}", digits) else None


def _beginning(words: str) -> Sequence[Select[Any]]:
    """Return the queries for the ids of sagas whose client, reference or tag begins with these words."""
    columns = ((SagaRow.client, SagaRow.id), (SagaRow.order_ref, SagaRow.id), (SagaTagRow.value, SagaTagRow.saga_id))
    first, last = folded(literal(search_text(words))), folded(literal(f"{search_text(words)}{_LAST}"))
    return [
        select(saga_id.label("id"))
        .where(column.is_not(None), folded(column) >= first, folded(column) < last)
        .order_by(folded(column))
        for column, saga_id in columns
    ]
