"""The moves of many sagas in the order in which they were made, for `saga tail`. Replies and reasons are not read."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from app.store.database import db
from app.store.lists import SagaFilter
from app.store.models import JournalRow, SagaRow
from machines.registry import Registry

#: Most moves that one query reads.
MOST_MOVES = 1_000


def moves_since(wanted: SagaFilter, registry: Registry, since: datetime) -> Sequence[Row[Any]]:
    """Return the moves made at a time or later of the sagas that match, the oldest first. An index finds them."""
    columns: tuple[Any, ...] = (
        JournalRow.saga_id, JournalRow.seq, JournalRow.at, SagaRow.definition, SagaRow.definition_version,
        SagaRow.client, JournalRow.step, JournalRow.direction, JournalRow.trigger, JournalRow.dest, JournalRow.actor,
        JournalRow.status_code, JournalRow.duration_ms,
    )  # fmt: skip
    joined = select(*columns).join(SagaRow, SagaRow.id == JournalRow.saga_id).where(JournalRow.at >= since)
    matching = joined.where(*wanted.conditions(registry), *wanted.root)
    return db.session.execute(
        matching.order_by(JournalRow.at, JournalRow.saga_id, JournalRow.seq).limit(MOST_MOVES)
    ).all()
