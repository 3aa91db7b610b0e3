"""Finding sagas by what somebody types into a search box."""

import re
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_

from app.store.instance import known_by
from app.store.models import SagaRow

_HEX_DIGITS = 32
#: Fewer digits of an id than this are more likely somebody's number.
_SHORTEST_PREFIX = 6


def means(words: str) -> ColumnElement[bool]:
    """Give the sagas that the words may mean: of this id, or one that begins so, of this client, order or key."""
    whose = [SagaRow.client == known_by(words), SagaRow.order_ref == known_by(words), SagaRow.idempotency_key == words]
    return or_(*whose, _begins(words)) if id_prefix(words) else or_(*whose)


def id_prefix(words: str) -> str | None:
    """Give the digits of an id, or of its beginning, if that is what the words are."""
    digits = words.replace("-", "").lower()
    return digits if re.fullmatch(rf"[0-9a-f]{{{_SHORTEST_PREFIX},{_HEX_DIGITS}}}", digits) else None


def _begins(words: str) -> ColumnElement[bool]:
    digits = id_prefix(words) or ""
    first, last = (UUID(digits.ljust(_HEX_DIGITS, filler)) for filler in "0f")
    return and_(SagaRow.id >= first, SagaRow.id <= last)
