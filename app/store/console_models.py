"""The tables of the operator's pages: cases, colleagues, saved views, bulk jobs and notices."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Double, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.store.database import Json, UtcDateTime, Words, db
from app.store.models import DUE

#: Condition of a partial index. Queries use this text unchanged, see app.store.models.
OPEN_ITEM = text("settled IS NULL")


class CaseRow(db.Model):  # type: ignore[name-defined,misc]
    """The case of a saga: who looks after it. The audit trail has each change and each note."""

    __tablename__ = "saga_case"

    saga_id: Mapped[UUID] = mapped_column(ForeignKey("saga.id", ondelete="CASCADE"), primary_key=True)
    #: Principal that looks after the saga; NULL: nobody.
    taken_by: Mapped[str | None]
    taken_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Until then the saga is not on the list of stuck sagas.
    snoozed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: The last note.
    note: Mapped[str | None]


class PresenceRow(db.Model):  # type: ignore[name-defined,misc]
    """A person who has the page of a saga open, see app.store.presence."""

    __tablename__ = "presence"

    # There is no foreign key, because its check would lock the row of the saga. Old rows are deleted soon anyway.
    saga_id: Mapped[UUID] = mapped_column(primary_key=True)
    #: Principal that looks.
    actor: Mapped[str] = mapped_column(primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SavedViewRow(db.Model):  # type: ignore[name-defined,misc]
    """A view of a list of sagas that a person has saved, see app.store.saved_views."""

    __tablename__ = "saved_view"
    __table_args__ = (UniqueConstraint("owner", "page", "name", name="saved_view_name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    #: Principal that saved it.
    owner: Mapped[str]
    #: The list: `sagas` or `stuck`.
    page: Mapped[str]
    name: Mapped[str]
    #: The query string of the list.
    query: Mapped[str]
    #: True: everybody of the tenant sees it.
    shared: Mapped[bool]
    #: Tenant of the owner; NULL: none.
    tenant: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class BulkJobRow(db.Model):  # type: ignore[name-defined,misc]
    """One action on many sagas. A process of the service works on it, one part after the other."""

    __tablename__ = "bulk_job"
    __table_args__ = (Index("bulk_job_due", "due_at", sqlite_where=DUE, postgresql_where=DUE),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    #: retry or compensate.
    action: Mapped[str]
    reason: Mapped[str] = mapped_column(Words)
    #: The filter that selected the sagas, as the query string of /admin/stuck has it.
    wanted: Mapped[Any] = mapped_column(Json)
    #: running, paused, stopped or done.
    status: Mapped[str]
    #: Number of sagas, and largest number of sagas that are moved a second.
    sagas: Mapped[int]
    pace: Mapped[float] = mapped_column(Double)
    #: Process that works on the job, and the number of its claims (fencing token).
    owner: Mapped[str | None]
    epoch: Mapped[int]
    #: When any process can work on the job: the end of a lease or of a wait. NULL: paused, stopped or done.
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: Principal that started the job, in whose name the sagas are moved.
    created_by: Mapped[str]
    #: Tenant of this principal, and of the sagas; NULL: none.
    tenant: Mapped[str | None]
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class BulkItemRow(db.Model):  # type: ignore[name-defined,misc]
    """One saga of a bulk job."""

    __tablename__ = "bulk_item"
    __table_args__ = (
        Index("bulk_item_open", "job_id", "position", sqlite_where=OPEN_ITEM, postgresql_where=OPEN_ITEM),
    )

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    #: Number within the job, from 1.
    position: Mapped[int] = mapped_column(primary_key=True)
    saga_id: Mapped[UUID]
    #: State of the saga when the job was started. A saga that has left it is not moved.
    seen: Mapped[str]
    #: moved or refused; NULL: its turn has not come.
    result: Mapped[str | None]
    #: Why it was refused.
    detail: Mapped[str | None] = mapped_column(Words)
    #: Status with which the moved saga has settled: completed, compensated, stuck, or gone; NULL: it still runs.
    settled: Mapped[str | None]


class NoticeRow(db.Model):  # type: ignore[name-defined,misc]
    """One message to one channel about one subject. The row decides that it is sent once."""

    __tablename__ = "notice"

    #: Name of the channel; "": the row decides which process does a piece of work, see app.store.turns.
    channel: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    first_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: When the subject was last found.
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: When the message may be sent, or sent again.
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    attempts: Mapped[int]
    #: NULL: not sent yet.
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Why the last attempt failed.
    error: Mapped[str | None] = mapped_column(Words)
