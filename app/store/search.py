"""The search for sagas by the text of a search box."""

import re
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_

from app.store.instance import search_text
from app.store.models import SagaRow

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
