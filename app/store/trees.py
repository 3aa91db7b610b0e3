"""Trees of sagas on a distributed database, which refuses a recursive query: one query for each generation."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select
from sqlalchemy.orm import scoped_session

from app.store.models import SagaRow

Reader = Connection | scoped_session[Any]


def below(reader: Reader, saga_ids: Sequence[UUID], *conditions: Any) -> list[UUID]:
    """Return the ids of the children of these sagas, of their children, and so on.

    conditions: for each of them; the search does not go below a saga that does not meet them.
    """
    found = list[UUID]()
    while saga_ids:
        saga_ids = list(reader.scalars(select(SagaRow.id).where(SagaRow.parent_id.in_(saga_ids), *conditions)))
        found += saga_ids
    return found


def above(reader: Reader, saga_ids: Sequence[UUID]) -> set[UUID]:
    """Return the ids of the parents of these sagas, of their parents, and so on."""
    found = set[UUID]()
    while saga_ids:
        of_these = select(SagaRow.parent_id).where(SagaRow.id.in_(saga_ids), SagaRow.parent_id.is_not(None))
        saga_ids = [saga_id for saga_id in {*reader.scalars(of_these)} - found if saga_id is not None]
        found.update(saga_ids)
    return found
