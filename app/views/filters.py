"""The parts that the filters of every list of sagas share: cursors, and the sizes of a page."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from marshmallow import ValidationError, fields

#: Most sagas of a page.
LARGEST_PAGE = 200


class Cursor(fields.Field[tuple[datetime, UUID]]):
    """The place where a page ended, as an opaque text."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[datetime, UUID]:
        try:
            at, saga_id = base64.urlsafe_b64decode(str(value)).decode().split(" ")
            return datetime.fromisoformat(at).astimezone(UTC), UUID(saga_id)
        except (ValueError, OverflowError, binascii.Error):
            raise ValidationError("Not a cursor; use next_cursor of the previous page.") from None


def cursor_at(at: datetime, saga_id: UUID) -> str:
    """Return the text of a cursor: the next page begins after this saga."""
    return base64.urlsafe_b64encode(f"{at.astimezone(UTC).isoformat()} {saga_id}".encode()).decode()
