"""Finding the saga that a person means by its id or the beginning of it."""

import re
from uuid import UUID

from sqlalchemy import select

from app.errors import MalformedError, NotFoundError
from app.services import services
from app.store import queries
from app.store.database import db
from app.store.loading import table_of
from app.store.models import SagaRow
from machines.saga import Saga

_BEGINNING = re.compile(r"[0-9a-f]{4,32}")
_DIGITS = 32


def found(given: str) -> SagaRow:
    digits = given.lower().replace("-", "")
    if not _BEGINNING.fullmatch(digits):
        raise MalformedError(f"{given!r} is no id of a saga; give one that `saga list` shows, or its first 4 digits")
    low, high = (UUID(digits.ljust(_DIGITS, fill)) for fill in "0f")
    sagas = db.session.scalars(select(SagaRow).where(SagaRow.id.between(low, high)).limit(2)).all()
    if not sagas:
        raise NotFoundError(f"there is no saga {given}; `saga list` shows those that there are")
    if len(sagas) > 1:
        raise MalformedError(f"more than one saga begins with {given}; give more of its id")
    return sagas[0]


def definition_of(saga: SagaRow) -> Saga | None:
    """Return the saga's table; None where none at hand fits what the saga did."""
    return table_of(services().registry, saga, queries.journal(saga.id))
