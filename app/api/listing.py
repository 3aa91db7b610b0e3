"""The query string of a list of sagas: filters, sort, page."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import request
from marshmallow import RAISE, Schema, ValidationError, fields, validate

from app.api.data import storable
from app.api.reading import load
from app.errors import InvalidError
from app.store.queries import SORTS, Filter, Page
from machines.statuses import SAGA_STATUSES

LARGEST_PAGE = 200
LARGEST_OFFSET = 100_000


class Cursor(fields.Field[tuple[datetime, UUID]]):
    """Where a page ended, as an opaque text."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[datetime, UUID]:
        try:
            at, saga_id = base64.urlsafe_b64decode(str(value)).decode().split(" ")
            return datetime.fromisoformat(at).astimezone(UTC), UUID(saga_id)
        except (ValueError, OverflowError, binascii.Error):
            raise ValidationError("Not a cursor; take next_cursor of the page before.") from None


class _Moment(fields.AwareDateTime):
    """A moment in UTC, which SQLite takes every one for; UTC as well where no time zone is given."""

    def __init__(self) -> None:
        super().__init__(format="iso", default_timezone=UTC)

    def _deserialize(self, value: Any, *arguments: Any, **more: Any) -> datetime:
        try:
            return super()._deserialize(value, *arguments, **more).astimezone(UTC)
        except OverflowError:
            raise ValidationError("Not a moment between the years 1 and 9999.") from None


CURSOR = Cursor(
    metadata={"type": "string", "description": "next_cursor of the page before; goes with a sort by created_at"}
)


def limit_of(default: int) -> fields.Integer:
    return fields.Integer(load_default=default, validate=validate.Range(1, LARGEST_PAGE))


def offset_of() -> fields.Integer:
    return fields.Integer(load_default=0, validate=validate.Range(0, LARGEST_OFFSET))


class ListQuery(Schema):
    """Every parameter may be left out."""

    class Meta:
        unknown = RAISE

    type = fields.String(validate=storable, metadata={"description": "name of the definition"})
    status = fields.String(validate=validate.OneOf(sorted(set(SAGA_STATUSES.values()))))
    state = fields.String(validate=storable)
    stuck = fields.Boolean(metadata={"description": "true: only those that wait for a person"})
    created_from = _Moment()
    created_to = _Moment()
    client = fields.String(validate=storable)
    store = fields.String(validate=storable)
    sort = fields.String(
        load_default="-created_at", validate=validate.OneOf([sign + name for name in SORTS for sign in ("-", "")])
    )
    limit = limit_of(50)
    offset = offset_of()
    cursor = CURSOR


def wanted_page() -> tuple[Filter, int, int, str, tuple[datetime, UUID] | None]:
    """Read the query string: filter, limit, offset, sort and where to go on."""
    query = load(ListQuery(), request.args.to_dict())
    if "cursor" in query and not query["sort"].endswith("created_at"):
        raise InvalidError(("/cursor", "A cursor goes with sort=created_at or sort=-created_at alone."))
    statuses = tuple(ours for ours, theirs in SAGA_STATUSES.items() if theirs == query.get("status"))
    if query.get("stuck"):
        statuses = ("stuck",) if not statuses or "stuck" in statuses else ("none",)
    wanted = Filter(
        definitions=(query["type"],) if "type" in query else (),
        statuses=statuses,
        states=(query["state"],) if "state" in query else (),
        created_from=query.get("created_from"),
        created_to=query.get("created_to"),
        client=query.get("client"),
        store=query.get("store"),
    )
    return wanted, query["limit"], query["offset"], query["sort"], query.get("cursor")


def pagination(page: Page, limit: int, offset: int) -> dict[str, object]:
    return {"total": page.total, "limit": limit, "offset": offset, "has_more": page.has_more}


def cursor_of(page: Page) -> str | None:
    return None if page.following is None else cursor_at(*page.following)


def cursor_at(at: datetime, saga_id: UUID) -> str:
    return base64.urlsafe_b64encode(f"{at.astimezone(UTC).isoformat()} {saga_id}".encode()).decode()
