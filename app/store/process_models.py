"""The tables of processes: which run, what they pause, and what they start by schedule."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from app.store.database import Json, UtcDateTime, Words, db


class ReplicaRow(db.Model):  # type: ignore[name-defined,misc]
    """A process that runs sagas, with the time of its last heartbeat."""

    __tablename__ = "replica"

    owner: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    beat_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: Participant → what the process sees of it, see app.calls.health. NULL: the process writes no report.
    participants: Mapped[Any] = mapped_column(Json, nullable=True)
    #: `web` or `worker`. NULL: a process of a release before migration 0017.
    role: Mapped[str | None]
    #: The most database connections that the process opens. NULL as above.
    connections: Mapped[int | None]


class ProcessReleaseRow(db.Model):  # type: ignore[name-defined,misc]
    """The release that a process runs, or has run, see app.store.releases."""

    __tablename__ = "process_release"

    owner: Mapped[str] = mapped_column(primary_key=True)
    release: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ParticipantPauseRow(db.Model):  # type: ignore[name-defined,misc]
    """A participant to which no calls are sent, because a person has paused it."""

    __tablename__ = "participant_pause"

    name: Mapped[str] = mapped_column(primary_key=True)
    paused_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: Principal that paused it.
    paused_by: Mapped[str]
    reason: Mapped[str] = mapped_column(Words)


class ScheduleRow(db.Model):  # type: ignore[name-defined,misc]
    """A schedule: it starts a saga at each time of a cron expression."""

    __tablename__ = "schedule"
    __table_args__ = (Index("schedule_next", "next_at"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    #: Tenant that has added the schedule, and to which its sagas belong; NULL: none.
    tenant: Mapped[str | None]
    #: Definition of the sagas; each is started by the latest version of its table.
    definition: Mapped[str]
    #: Data of each saga.
    data: Mapped[Any] = mapped_column(Json)
    #: Cron expression with five fields, and the time zone in which it is read.
    cron: Mapped[str]
    zone: Mapped[str]
    #: True: a saga is started although the one before has not ended. False: that time is skipped.
    overlaps: Mapped[bool]
    #: When the schedule starts its next saga; NULL: the schedule is paused.
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Number of changes. A process that is based on an old version changes nothing.
    version: Mapped[int]
    #: The last time that was due, its result, and the last saga that was started.
    last_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_result: Mapped[str | None] = mapped_column(Words)
    last_saga_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: Principal that added the schedule.
    created_by: Mapped[str]
