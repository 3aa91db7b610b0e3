"""What participants answered to people about the steps of a saga, as the audit trail keeps it."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.store.access_models import AuditRow
from app.store.database import db
from machines.history import Answer
from machines.outcomes import Outcome

#: Action of the audit row that records a question and its answer.
ASKED = "saga.asked"


def answers_of(saga_id: UUID) -> list[Answer]:
    """Return the clear answers about the steps of a saga, the oldest first."""
    rows = select(AuditRow.after, AuditRow.at).where(AuditRow.saga_id == saga_id, AuditRow.action == ASKED)
    return answers_in(db.session.execute(rows.order_by(AuditRow.seq)))


def answers_in(rows: Iterable[Any]) -> list[Answer]:
    """Return the clear answers in these rows of the audit trail."""
    clear = (Outcome.SUCCEEDED, Outcome.REFUSED)
    return [
        Answer(step=row.after["step"], happened=row.after["outcome"] == Outcome.SUCCEEDED, at=row.at)
        for row in rows
        if row.after["outcome"] in clear
    ]
