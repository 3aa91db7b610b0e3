"""The journals of the newest sagas of one type that have ended or are stuck, for `saga advise`.

One query reads them, and it is bounded twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, select, union_all

from app.store.database import db, in_seconds
from app.store.models import ENDED, UNFINISHED, JournalRow, SagaRow
from machines.statuses import FINISHED, Status

#: Most sagas and most journal rows that one query reads. A saga of ten steps without a failure has eleven rows.
MOST_SAGAS, MOST_ROWS = 10_000, 200_000
_SAGA, _JOURNAL = SagaRow.__table__, JournalRow.__table__


@dataclass(frozen=True, kw_only=True)
class RecentJournals:
    """The journals of the newest sagas that have ended or are stuck."""

    #: The rows of each saga, in their order, without the replies.
    journals: Sequence[Sequence[Row[Any]]]
    #: Start of the oldest and of the newest of these sagas; None without sagas.
    first: datetime | None
    last: datetime | None
    #: Sagas of other versions of the table; their journals are left out.
    others: int
    #: True: the limit of rows was reached, so older sagas are missing.
    cut: bool


def recent_journals(
    definition: str, version: int, *, days: float, sagas: int, most_rows: int = MOST_ROWS
) -> RecentJournals:
    """Return the journals of the newest sagas of a table that have ended or are stuck, and started within these days.

    The indexes `saga_finished` and `saga_unfinished` find the sagas, and the key of the journal finds their rows.

    sagas: the most that are read, of any version.
    """
    rows = db.session.execute(_query(definition, days, sagas).limit(most_rows)).all()
    cut = len(rows) == most_rows
    by_saga: dict[Any, list[Row[Any]]] = {}
    for row in rows:
        by_saga.setdefault(row.saga_id, []).append(row)
    if cut:
        by_saga.popitem()  # its last rows may be missing
    own = [journal for journal in by_saga.values() if journal[0].version == version]
    started = [journal[0].created_at for journal in own]
    return RecentJournals(
        journals=own, first=min(started, default=None), last=max(started, default=None),
        others=len(by_saga) - len(own), cut=cut,
    )  # fmt: skip


def _query(definition: str, days: float, sagas: int) -> Select[Any]:
    # One part for each status, because the indexes are ordered by the status first.
    newest = union_all(*(_newest(definition, status, days, sagas) for status in (*FINISHED, Status.STUCK))).subquery()
    chosen = select(newest).order_by(newest.c.created_at.desc(), newest.c.id.desc()).limit(sagas).subquery()
    columns = [each for each in _JOURNAL.c if each.name not in ("reply", "event", "actor")]
    return (
        select(*columns, chosen.c.version, chosen.c.created_at)
        .join(_JOURNAL, _JOURNAL.c.saga_id == chosen.c.id)
        .order_by(chosen.c.created_at.desc(), chosen.c.id.desc(), _JOURNAL.c.seq)
    )


def _newest(definition: str, status: str, days: float, sagas: int) -> Select[Any]:
    """Return the query for the newest sagas with one status, in a subquery because each has its own limit."""
    within = (
        select(_SAGA.c.id, _SAGA.c.definition_version.label("version"), _SAGA.c.created_at)
        .where(
            and_(
                UNFINISHED if status == Status.STUCK else ENDED,
                _SAGA.c.definition == definition,
                _SAGA.c.status == status,
            )
        )
        .where(_SAGA.c.created_at >= in_seconds(-days * 86_400))
        .order_by(_SAGA.c.created_at.desc(), _SAGA.c.id.desc())
        .limit(sagas)
        .subquery()
    )
    return select(within)
