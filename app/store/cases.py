"""The cases of sagas: who looks after a saga, notes, and until when nobody needs to look.

Each change is one transaction with its audit row. A case is no part of its saga: no change of it moves the saga.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, insert, not_, or_, select, update
from sqlalchemy import Engine as Database

from app.errors import ConflictError
from app.store.access_models import AuditRow
from app.store.audit import Entry, append
from app.store.console_models import CaseRow
from app.store.database import db, db_now
from app.store.models import UNFINISHED, SagaRow
from app.store.transactions import atomic

_CASE, _SAGA = CaseRow.__table__, SagaRow.__table__
#: Actions of the audit rows that belong to a case.
TAKE, GIVE_BACK, NOTE, SNOOZE, WAKE = ("case.take", "case.give_back", "case.note", "case.snooze", "case.wake")
#: Largest number of cases on the hand-over list, and of rows of the audit trail on the page of a saga.
MOST_CASES, MOST_ROWS = 200, 20


def take(database: Database, saga: SagaRow, actor: str, seen: str | None) -> None:
    """Let the actor look after the saga. seen: who looked after it when the actor decided.

    Raise ConflictError when somebody else has taken it since.
    """
    entry = Entry(actor=actor, action=TAKE, saga_id=saga.id, target=saga.definition)
    with atomic(database) as connection:
        _change(connection, entry, seen, taken_by=actor, taken_at=db_now())


def give_back(database: Database, saga: SagaRow, actor: str, seen: str | None) -> None:
    """Let nobody look after the saga. seen and the error are those of `take`."""
    entry = Entry(actor=actor, action=GIVE_BACK, saga_id=saga.id, target=saga.definition)
    with atomic(database) as connection:
        _change(connection, entry, seen, taken_by=None, taken_at=None)


def note(database: Database, saga: SagaRow, actor: str, text: str) -> None:
    entry = Entry(actor=actor, action=NOTE, saga_id=saga.id, target=saga.definition, reason=text)
    with atomic(database) as connection:
        before = _locked(connection, saga.id)
        _write(connection, entry, before, note=text)


def snooze(database: Database, saga: SagaRow, actor: str, until: datetime | None, reason: str) -> None:
    """Keep the saga off the list of stuck sagas until a time; None: put it back at once."""
    action, after = (SNOOZE, {"until": until.isoformat()}) if until else (WAKE, None)
    entry = Entry(actor=actor, action=action, saga_id=saga.id, target=saga.definition, reason=reason, after=after)
    with atomic(database) as connection:
        _write(connection, entry, _locked(connection, saga.id), snoozed_until=until)


def of(saga_ids: Sequence[UUID]) -> Mapping[UUID, Row[Any]]:
    """Return the cases of these sagas, by id of the saga. A saga without a case is left out."""
    rows = db.session.execute(select(_CASE).where(_CASE.c.saga_id.in_(saga_ids)))
    return {case.saga_id: case for case in rows}


def snoozed() -> ColumnElement[bool]:
    """Return the condition for sagas that are snoozed now."""
    return exists().where(CaseRow.saga_id == SagaRow.id, CaseRow.snoozed_until > db_now())


def some_snoozed() -> bool:
    """Return True when a saga is snoozed now. This is cheaper than counting those that need attention."""
    return bool(db.session.scalar(select(exists().where(_CASE.c.snoozed_until > db_now()))))


def chosen(word: str, actor: str) -> ColumnElement[bool]:
    """Return the condition for one of the words `open`, `mine`, `taken`, `free` and `snoozed`."""
    taken = exists().where(CaseRow.saga_id == SagaRow.id, CaseRow.taken_by.is_not(None))
    return {
        "open": not_(snoozed()),
        "mine": exists().where(CaseRow.saga_id == SagaRow.id, CaseRow.taken_by == actor),
        "taken": taken,
        "free": and_(not_(taken), not_(snoozed())),
        "snoozed": snoozed(),
    }[word]


def unsettled(still_unknown: ColumnElement[bool]) -> Sequence[Any]:
    """Return the cases that a colleague must know, with their sagas, by the person who looks after them.

    still_unknown: the condition for ended sagas that a person must still look at.
    """
    columns = (
        SagaRow.id, SagaRow.definition, SagaRow.definition_version, SagaRow.state, SagaRow.status, SagaRow.client,
        SagaRow.order_ref, SagaRow.error, SagaRow.owner, SagaRow.attempt, SagaRow.deferrals, CaseRow.taken_by,
        CaseRow.taken_at, CaseRow.snoozed_until, CaseRow.note,
    )  # fmt: skip
    rows = select(*columns).join(CaseRow, CaseRow.saga_id == SagaRow.id).where(or_(UNFINISHED, still_unknown))
    return db.session.execute(rows.order_by(CaseRow.taken_by, SagaRow.entered_at).limit(MOST_CASES)).all()


def trail(saga_id: UUID) -> Sequence[AuditRow]:
    """Return the newest rows of the audit trail about a saga, the newest first."""
    rows = select(AuditRow).where(AuditRow.saga_id == saga_id).order_by(AuditRow.seq.desc())
    return db.session.scalars(rows.limit(MOST_ROWS)).all()


def _change(connection: Connection, entry: Entry, seen: str | None, **values: Any) -> None:
    assert entry.saga_id is not None
    before = _locked(connection, entry.saga_id)
    now = before.taken_by if before else None
    if now != seen:
        whom = f"{now.partition(':')[2]} looks after it" if now else "nobody looks after it any more"
        raise ConflictError(f"somebody else was first: {whom}", saga_id=str(entry.saga_id))
    _write(connection, entry, before, **values)


def _locked(connection: Connection, saga_id: UUID) -> Row[Any] | None:
    """Return the case of a saga. The saga's row is locked, so that two persons change the case one after the other."""
    connection.execute(select(_SAGA.c.id).where(_SAGA.c.id == saga_id).with_for_update()).one()
    return connection.execute(select(_CASE).where(_CASE.c.saga_id == saga_id)).one_or_none()


def _write(connection: Connection, entry: Entry, before: Row[Any] | None, **values: Any) -> None:
    if before is None:
        connection.execute(insert(_CASE).values(saga_id=entry.saga_id, **values))
    else:
        connection.execute(update(_CASE).where(_CASE.c.saga_id == entry.saga_id).values(**values))
    append(connection, entry)
