"""What participants answered to people about the steps of a saga, as the audit trail keeps it."""

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.store.access_models import AuditRow
from app.store.database import db
from machines.history import Answer
from machines.outcomes import Outcome

#: Action of the audit row that records a question and its answer.
ASKED = "saga.asked"


def answers_of(saga_ids: Collection[UUID]) -> dict[UUID, list[Answer]]:
    """Return the clear answers about the steps of each of these sagas, the oldest first. No sagas cost no query."""
    if not saga_ids:
        return {}
    columns = select(AuditRow.saga_id, AuditRow.after, AuditRow.at)
    rows = columns.where(AuditRow.saga_id.in_(saga_ids), AuditRow.action == ASKED).order_by(AuditRow.seq)
    found: dict[UUID, list[Any]] = {}
    for row in db.session.execute(rows):
        found.setdefault(row.saga_id, []).append(row)
    return {saga_id: answers_in(asked) for saga_id, asked in found.items()}


def answers_in(rows: Iterable[Any]) -> list[Answer]:
    """Return the clear answers in these rows of the audit trail."""
    clear = (Outcome.SUCCEEDED, Outcome.REFUSED)
    return [
        Answer(step=row.after["step"], happened=row.after["outcome"] == Outcome.SUCCEEDED, at=row.at)
        for row in rows
        if row.after["outcome"] in clear
    ]
