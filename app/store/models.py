"""The tables: one row a saga, one row a move."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, Integer, UniqueConstraint, func, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column

from app.store.database import Json, UtcDateTime, Words, db
from app.values import LONGEST_LINE

_DUE = text("due_at IS NOT NULL")
_KEYED = text("idempotency_key IS NOT NULL")
#: Counts without end; SQLite counts by itself in an INTEGER alone.
_COUNTED = BigInteger().with_variant(Integer(), "sqlite")
_ORDERED = text("order_ref IS NOT NULL")
#: Asked for word for word, for SQLite uses the index of a condition only then.
UNFINISHED = text("status NOT IN ('completed', 'compensated')")
ENDED = text("status IN ('completed', 'compensated')")


class SagaRow(db.Model):  # type: ignore[name-defined,misc]  # Flask-SQLAlchemy makes its base class at run time
    """A saga and where it stands.

    status: what its state means (pending, running, compensating, stuck, completed, compensated).
    client, store: whose it is, from its data, as the definition says. order_ref: by what people know what came of it.
    attempt, deferrals: how often the call in flight was sent in vain, and could not be sent at all.
    error: why it failed, in one line.
    epoch: counts the owners, version the commits; every write names both. claims: epochs since it last moved, or was
    given back.
    due_at: when any process may take it: a lease's end, a retry's time; NULL when nothing is left to do by itself.
    unsure: the call of its state may have been sent; so it may where there are claims. deadline_at: until when a step
    forward may be.
    entered_at: when it came to its state; attempts there in vain do not move that on, as they do updated_at.
    moves: what the last commit moved. The database's trigger writes the journal from it, and dates each move by its
    age_us: how many microseconds before the commit the move happened; missing below a millisecond.
    started_by: who asked for it (`key:shop`, `user:ada`, `api`); its Idempotency-Key is one of theirs.
    fingerprint, sent_digest: what the request was, with the defaults of the release, and as it was sent.
    table_digest: of the table it runs by, see SagaTableRow.
    All three new ones are NULL in rows that a release before 0006 wrote.
    """

    __tablename__ = "saga"
    __table_args__ = (
        Index("saga_key", "idempotency_key", unique=True, sqlite_where=_KEYED, postgresql_where=_KEYED),
        Index("saga_due", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),
        Index("saga_created", "created_at", "id"),
        Index("saga_client", "client", "created_at"),
        Index("saga_order", "order_ref", sqlite_where=_ORDERED, postgresql_where=_ORDERED),
        Index("saga_store", "store", "created_at"),
        Index("saga_unfinished", "status", "created_at", sqlite_where=UNFINISHED, postgresql_where=UNFINISHED),
        Index("saga_finished", "definition", "status", "created_at", "id", sqlite_where=ENDED, postgresql_where=ENDED),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    definition: Mapped[str]
    definition_version: Mapped[int]
    state: Mapped[str]
    status: Mapped[str]
    data: Mapped[Any] = mapped_column(Json)
    client: Mapped[str | None]
    store: Mapped[str | None]
    order_ref: Mapped[str | None]
    attempt: Mapped[int]
    deferrals: Mapped[int]
    error: Mapped[str | None] = mapped_column(Words)
    idempotency_key: Mapped[str | None]
    fingerprint: Mapped[str | None]
    sent_digest: Mapped[str | None]
    started_by: Mapped[str | None]
    table_digest: Mapped[str | None]
    owner: Mapped[str | None]
    epoch: Mapped[int]
    version: Mapped[int]
    claims: Mapped[int]
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    unsure: Mapped[bool]
    deadline_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    entered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    moves: Mapped[Any] = mapped_column(Json, deferred=True)


#: The error as a list shows it: its beginning alone leaves the database, and tells errors apart.
BRIEF_ERROR = func.substr(SagaRow.error, literal_column("1"), literal_column(str(LONGEST_LINE)))


class JournalRow(db.Model):  # type: ignore[name-defined,misc]
    """One move of a saga: when it happened, from where, to where, by whom and why, with what reply. Never changed.

    source is NULL on the first one. duration_ms: how long the call took whose outcome this is. event: what others are
    told of this move.
    """

    __tablename__ = "journal"
    __table_args__ = (Index("journal_at", "at", postgresql_using="brin"),)

    # No foreign key, which would look the saga up for each move: the saga's own trigger writes and deletes these rows.
    saga_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    source: Mapped[str | None]
    trigger: Mapped[str]
    dest: Mapped[str]
    step: Mapped[str | None]
    direction: Mapped[str | None]
    attempt: Mapped[int | None]
    actor: Mapped[str]
    reason: Mapped[str | None] = mapped_column(Words)
    status_code: Mapped[int | None]
    reply: Mapped[Any] = mapped_column(Json, nullable=True)
    duration_ms: Mapped[float | None]
    event: Mapped[str | None]


class SagaTableRow(db.Model):  # type: ignore[name-defined,misc]
    """A table that sagas of one definition and version run by, or ran by; the first one has the smallest id.

    content: what of it must not change under a running saga, as canonical JSON; digest: of that.
    """

    __tablename__ = "saga_table"
    __table_args__ = (UniqueConstraint("definition", "definition_version", "digest", name="saga_table_digest"),)

    id: Mapped[int] = mapped_column(_COUNTED, primary_key=True)
    definition: Mapped[str]
    definition_version: Mapped[int]
    digest: Mapped[str]
    content: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]


class OutboxRow(db.Model):  # type: ignore[name-defined,misc]
    """A move whose event has still to be published; the database's trigger writes it together with the move."""

    __tablename__ = "outbox"
    __table_args__ = (ForeignKeyConstraint(["saga_id", "seq"], ["journal.saga_id", "journal.seq"]),)

    id: Mapped[int] = mapped_column(_COUNTED, primary_key=True)
    saga_id: Mapped[UUID]
    seq: Mapped[int]
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class RelayRow(db.Model):  # type: ignore[name-defined,misc]
    """Which process publishes, and until when: one at a time, so that events stay in order. There is one row."""

    __tablename__ = "relay"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str | None]
    until: Mapped[datetime] = mapped_column(UtcDateTime)


class ParkedRow(db.Model):  # type: ignore[name-defined,misc]
    """A message that came in and could not be taken: why, and what it said."""

    __tablename__ = "parked"

    id: Mapped[int] = mapped_column(_COUNTED, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    reason: Mapped[str]
    body: Mapped[str]


class ReplicaRow(db.Model):  # type: ignore[name-defined,misc]
    """A process that runs sagas, and when it last proved that it does and that the database takes its writes."""

    __tablename__ = "replica"

    owner: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    beat_at: Mapped[datetime] = mapped_column(UtcDateTime)
