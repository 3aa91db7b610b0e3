"""What people have asked and found out about the steps of a saga, as the audit trail keeps it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.store.access_models import AuditRow
from app.store.database import db
from app.store.unknown_effects import CHECKED
from machines.history import Answer, Finding, Found
from machines.outcomes import Outcome

#: Action of the audit row that records a question and its answer.
ASKED = "saga.asked"


@dataclass(frozen=True, kw_only=True)
class FoundOut:
    """What people have found out about the steps of a saga."""

    #: The clear answers of participants, the oldest first.
    answers: Sequence[Answer] = ()
    #: What a person has recorded last; None: nothing.
    finding: Finding | None = None


def found_out(saga_ids: Collection[UUID]) -> dict[UUID, FoundOut]:
    """Return what people have found out about each of these sagas. No sagas cost no query."""
    if not saga_ids:
        return {}
    columns = select(AuditRow.saga_id, AuditRow.action, AuditRow.actor, AuditRow.at, AuditRow.after, AuditRow.reason)
    rows = columns.where(AuditRow.saga_id.in_(saga_ids), AuditRow.action.in_((ASKED, CHECKED))).order_by(AuditRow.seq)
    found: dict[UUID, list[Any]] = {}
    for row in db.session.execute(rows):
        found.setdefault(row.saga_id, []).append(row)
    return {saga_id: _found_out(of_saga) for saga_id, of_saga in found.items()}


def _found_out(rows: Sequence[Any]) -> FoundOut:
    checked = [row for row in rows if row.action == CHECKED]
    return FoundOut(
        answers=answers_in(row for row in rows if row.action == ASKED),
        finding=_finding(checked[-1]) if checked else None,
    )


def _finding(row: Any) -> Finding:
    steps, found = frozenset(row.after["steps"]), Found(row.after["found"])
    return Finding(steps=steps, found=found, by=row.actor, at=row.at, reason=row.reason or "")


def answers_in(rows: Iterable[Any]) -> list[Answer]:
    """Return the clear answers in these rows of the audit trail."""
    clear = (Outcome.SUCCEEDED, Outcome.REFUSED)
    return [
        Answer(step=row.after["step"], happened=row.after["outcome"] == Outcome.SUCCEEDED, at=row.at)
        for row in rows
        if row.after["outcome"] in clear
    ]
