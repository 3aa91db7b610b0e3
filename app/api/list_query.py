"""The query string of a list of sagas: filters, sort, page."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask import request
from marshmallow import fields, validate

from app.access.permissions import Scope
from app.access.principal import principal
from app.errors import InvalidError
from app.store.lists import SORTS, Page, SagaFilter
from app.views.saga_filters import FilterWords, bounded, narrowed, order_of, shows_children
from app.views.validation import LARGEST_PAGE, Cursor, cursor_at, load
from machines.statuses import SAGA_STATUSES, Status

#: Largest offset, in sagas. The database reads and skips every saga before the offset, so later pages need a cursor.
LARGEST_OFFSET = 100_000


CURSOR = Cursor(
    metadata={"type": "string", "description": "next_cursor of the previous page; needs a sort by created_at"}
)


def limit_of(default: int) -> fields.Integer:
    return fields.Integer(load_default=default, validate=validate.Range(1, LARGEST_PAGE))


def offset_of() -> fields.Integer:
    return fields.Integer(load_default=0, validate=validate.Range(0, LARGEST_OFFSET))


class ListQuery(FilterWords):
    """The parameters of the list; all of them are optional."""

    status = fields.String(validate=validate.OneOf(sorted(set(SAGA_STATUSES.values()))))
    stuck = fields.Boolean(metadata={"description": "true: only sagas that wait for a person"})
    sort = fields.String(
        load_default="-created_at", validate=order_of([sign + name for name in SORTS for sign in ("-", "")])
    )
    limit = limit_of(50)
    offset = offset_of()
    cursor = CURSOR


@dataclass(frozen=True, kw_only=True)
class Requested:
    """What the query string asks for."""

    wanted: SagaFilter
    limit: int
    offset: int
    sort: str
    #: created_at and id of the last saga of the page before; None: the first page.
    after: tuple[datetime, UUID] | None
    #: Older sagas are not looked at, see `bounded`; None: all are.
    searched_from: datetime | None


def requested_page() -> Requested:
    """Return what the query asks for. Raise InvalidError for an illegal parameter."""
    tags = request.args.getlist("tag")
    query = load(ListQuery(), request.args.to_dict() | ({"tag": tags} if tags else {}))
    if "cursor" in query and not query["sort"].endswith("created_at"):
        raise InvalidError(("/cursor", "A cursor needs sort=created_at or sort=-created_at."))
    statuses = tuple(ours for ours, theirs in SAGA_STATUSES.items() if theirs == query.get("status"))
    if query.get("stuck"):
        statuses = (Status.STUCK,) if not statuses or Status.STUCK in statuses else ("none",)
    wanted = SagaFilter(
        statuses=statuses,
        roots=not (query.get("stuck") or shows_children(query)),
        reach=principal().reach(Scope.READ),
        **narrowed(query),
    )
    wanted, searched_from = bounded(wanted, by_change=query["sort"].endswith("updated_at"))
    return Requested(
        wanted=wanted, limit=query["limit"], offset=query["offset"], sort=query["sort"], after=query.get("cursor"),
        searched_from=searched_from,
    )  # fmt: skip


def pagination(page: Page, limit: int, offset: int) -> dict[str, object]:
    return {"total": page.total, "limit": limit, "offset": offset, "has_more": page.has_more}


def cursor_of(page: Page) -> str | None:
    """Return the cursor of the next page; None on the last page."""
    return None if page.following is None else cursor_at(*page.following)
