"""The tables of sagas: sagas, their moves, their keys, tags and signals."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint, false, func, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column

from app.store.database import COUNTED, Json, UtcDateTime, Words, db
from app.values import LONGEST_LINE

DUE = text("due_at IS NOT NULL")
_KEYED = text("idempotency_key IS NOT NULL")
_ORDERED = text("order_ref IS NOT NULL")
_CHILD = text("parent_id IS NOT NULL")
_FAILED = text("error IS NOT NULL")
_OF_TENANT = text("tenant IS NOT NULL")
_SEALED = text("data_key IS NOT NULL")
_VALID = text("erased_at IS NULL")
#: Conditions of partial indexes. Queries use these texts unchanged, because SQLite compares the texts to find an index.
UNFINISHED = text("status NOT IN ('completed', 'compensated')")
ENDED = text("status IN ('completed', 'compensated')")
LEAVES_UNKNOWN = text(
    "(\"trigger\" = 'compensate' AND substr(source, 1, 6) = 'STUCK_'"
    " OR substr(reason, 1, 31) = 'the probe found nothing to undo')"
)


class SagaRow(db.Model):  # type: ignore[name-defined,misc]  # Flask-SQLAlchemy makes its base class at run time
    """A saga. A column that a later release added is NULL in rows that were written before.

    Migrations 0023 and 0036 add indexes of expressions, with which app.store.search finds the beginning of a text and
    the end of an id.
    """

    __tablename__ = "saga"
    __table_args__ = (
        Index("saga_idempotency", "idempotency_key", sqlite_where=_KEYED, postgresql_where=_KEYED),
        Index("saga_due", "due_at", sqlite_where=DUE, postgresql_where=DUE),
        Index("saga_created", "created_at", "id"),
        Index("saga_client", "client", "created_at"),
        Index("saga_order", "order_ref", sqlite_where=_ORDERED, postgresql_where=_ORDERED),
        Index("saga_failed", "created_at", "id", sqlite_where=_FAILED, postgresql_where=_FAILED),
        Index("saga_store", "store", "created_at"),
        Index("saga_tenant", "tenant", "created_at", sqlite_where=_OF_TENANT, postgresql_where=_OF_TENANT),
        Index("saga_data_key", "data_key", sqlite_where=_SEALED, postgresql_where=_SEALED),
        Index("saga_unfinished", "status", "created_at", sqlite_where=UNFINISHED, postgresql_where=UNFINISHED),
        Index("saga_finished", "definition", "status", "created_at", "id", sqlite_where=ENDED, postgresql_where=ENDED),
        Index(
            "saga_children",
            "parent_id",
            "parent_step",
            "child_number",
            unique=True,
            sqlite_where=_CHILD,
            postgresql_where=_CHILD,
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    definition: Mapped[str]
    definition_version: Mapped[int]
    #: Present state of the saga, as its table names it.
    state: Mapped[str]
    #: Meaning of the state: pending, running, compensating, waiting, stuck, completed or compensated.
    status: Mapped[str]
    data: Mapped[Any] = mapped_column(Json)
    #: Customer: the field of the data that the table's `client` names.
    client: Mapped[str | None]
    #: Shop: the field of the data that the table's `store` names.
    store: Mapped[str | None]
    #: Number by which people know the saga: the value of the reference in the table's `order`.
    order_ref: Mapped[str | None]
    #: Number of failed attempts of the call in flight.
    attempt: Mapped[int]
    #: Number of times that the call in flight was deferred. In a state that polls: number of polls without an answer.
    deferrals: Mapped[int]
    #: Why the saga failed, in one line.
    error: Mapped[str | None] = mapped_column(Words)
    #: Key of the start request, see RequestKeyRow: there it is unique.
    idempotency_key: Mapped[str | None]
    #: Digest of the start request with the default values of the release that received it.
    fingerprint: Mapped[str | None]
    #: Digest of the start request as the client sent it.
    sent_digest: Mapped[str | None]
    #: Principal that started the saga (`key:shop`, `user:ada`, `api`). The Idempotency-Key belongs to this principal.
    started_by: Mapped[str | None]
    #: Tenant that the saga belongs to, see app.store.tenants; NULL: none.
    tenant: Mapped[str | None]
    #: Webhook that the start named: the name of a webhook, or an address. NULL: none.
    webhook: Mapped[str | None]
    #: Digest of the table that the saga uses, see SagaTableRow.
    table_digest: Mapped[str | None]
    #: Key with which the secret values are encrypted, see DataKeyRow. NULL: the values are in clear, or there are none.
    data_key: Mapped[str | None]
    #: When the personal data were erased; NULL: they were not.
    erased_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Process that holds the lease.
    owner: Mapped[str | None]
    #: Fencing token. It counts the owners; a write with an old epoch changes nothing.
    epoch: Mapped[int]
    #: Number of commits. A write that is based on an old version changes nothing.
    version: Mapped[int]
    #: Number of claims since the last move or release.
    claims: Mapped[int]
    #: Number of signals that have arrived for the saga, see ArrivalRow.
    arrived: Mapped[int] = mapped_column(server_default="0")
    #: When any process can claim the saga: the end of a lease or a wait. NULL: the engine has nothing left to do.
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: True when the call of the current state may have been sent. It may also have been sent when `claims` is above 0.
    unsure: Mapped[bool]
    #: The deadline: no forward step is sent after this time.
    deadline_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: When the saga entered its state. Failed attempts change updated_at, but not this. For a saga that starts later
    #: (pending, with due_at) this is the time of its start, so that the wait does not count as a long stay.
    entered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: Saga that has started this one as its child. NULL: a client, an event or a schedule has started it.
    parent_id: Mapped[UUID | None]
    #: Step of the parent that has started the child.
    parent_step: Mapped[str | None]
    #: Number of the child among those of the step, from 1.
    child_number: Mapped[int | None]
    #: True: the parent goes back, so the process that claims the child compensates it.
    goes_back: Mapped[bool] = mapped_column(server_default=false())
    #: Moves of the last commit. A trigger of the database writes them to the journal. A move has age_us, its age at the
    #: commit in microseconds, unless it was made less than a millisecond before.
    moves: Mapped[Any] = mapped_column(Json, deferred=True)


class RequestKeyRow(db.Model):  # type: ignore[name-defined,misc]
    """The Idempotency-Key of a request that has started a saga. A trigger of the database inserts it with the saga."""

    __tablename__ = "request_key"
    __table_args__ = (Index("request_key_at", "at"),)

    # There is no foreign key: the saga can be deleted before its key.
    #: In the form in which the saga has it.
    key: Mapped[str] = mapped_column(primary_key=True)
    saga_id: Mapped[UUID]
    #: Definition, sender and tenant of the saga, which are needed when it is deleted.
    definition: Mapped[str]
    started_by: Mapped[str | None]
    tenant: Mapped[str | None]
    #: When the saga was created.
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: True: the key stays when its saga is deleted.
    outlives_saga: Mapped[bool] = mapped_column(server_default=false())


#: Error as lists show it: its first LONGEST_LINE characters, so that the database does not send long texts.
BRIEF_ERROR = func.substr(SagaRow.error, literal_column("1"), literal_column(str(LONGEST_LINE)))


class JournalRow(db.Model):  # type: ignore[name-defined,misc]
    """One move of a saga, never changed."""

    __tablename__ = "journal"
    __table_args__ = (
        Index("journal_at", "at", postgresql_using="brin"),
        #: The few moves that can leave an effect unknown, see app.store.unknown_effects.
        Index("journal_leaves_unknown", "saga_id", sqlite_where=LEAVES_UNKNOWN, postgresql_where=LEAVES_UNKNOWN),
    )

    # There is no foreign key, because its check would look the saga up for each move. Triggers of the table `saga`
    # write and delete these rows.
    saga_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    #: When the move was made.
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: State before the move; NULL for the first move.
    source: Mapped[str | None]
    trigger: Mapped[str]
    dest: Mapped[str]
    step: Mapped[str | None]
    direction: Mapped[str | None]
    attempt: Mapped[int | None]
    #: Principal or process that made the move.
    actor: Mapped[str]
    #: Why the move was made, in one line.
    reason: Mapped[str | None] = mapped_column(Words)
    status_code: Mapped[int | None]
    reply: Mapped[Any] = mapped_column(Json, nullable=True)
    #: Duration of the call whose outcome this move is, in milliseconds.
    duration_ms: Mapped[float | None]
    #: Name of the event published for this move; NULL: none.
    event: Mapped[str | None]


class ArrivalRow(db.Model):  # type: ignore[name-defined,misc]
    """A signal that has arrived for a saga. The first signal of a name counts; a second one is refused."""

    __tablename__ = "arrival"

    saga_id: Mapped[UUID] = mapped_column(ForeignKey("saga.id", ondelete="CASCADE"), primary_key=True)
    #: Name of the signal.
    name: Mapped[str] = mapped_column(primary_key=True)
    body: Mapped[Any] = mapped_column(Json)
    #: Principal that sent the signal.
    sender: Mapped[str]
    #: Idempotency-Key of the request; None: it had none.
    key: Mapped[str | None]
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class SagaTagRow(db.Model):  # type: ignore[name-defined,misc]
    """A value by which people find a saga: a field of its data that the `tags` of its table name."""

    __tablename__ = "saga_tag"
    __table_args__ = (Index("saga_tag_value", "name", "value", "definition"),)

    saga_id: Mapped[UUID] = mapped_column(ForeignKey("saga.id", ondelete="CASCADE"), primary_key=True)
    #: Name of the field.
    name: Mapped[str] = mapped_column(primary_key=True)
    #: Value as text, cut to LONGEST_REFERENCE characters.
    value: Mapped[str]
    #: Definition of the saga, so that the index serves a search with the definition and a search without it.
    definition: Mapped[str]


class SagaTableRow(db.Model):  # type: ignore[name-defined,misc]
    """A table that sagas of one definition and version use. A version whose table was edited has several rows."""

    __tablename__ = "saga_table"
    __table_args__ = (UniqueConstraint("definition", "definition_version", "digest", name="saga_table_digest"),)

    id: Mapped[int] = mapped_column(COUNTED, primary_key=True)
    definition: Mapped[str]
    definition_version: Mapped[int]
    #: Digest of `content`.
    digest: Mapped[str]
    #: Part of the table that must not change under a running saga, as canonical JSON.
    content: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str]


class DataKeyRow(db.Model):  # type: ignore[name-defined,misc]
    """The key of one client, with which the secret and personal values of the client's sagas are encrypted."""

    __tablename__ = "data_key"
    __table_args__ = (
        Index("data_key_client", "tenant", "client", unique=True, sqlite_where=_VALID, postgresql_where=_VALID),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    #: Tenant of the sagas; "": none.
    tenant: Mapped[str]
    #: Client of the sagas, as `SagaRow.client` has it; "": they have none.
    client: Mapped[str]
    #: The key, encrypted with a key of DATA_KEY. NULL: it was dropped.
    wrapped: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: When the key was dropped; NULL: it is in use.
    erased_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
