"""The tables of the database: sagas and their moves, events and processes; users, API keys and the audit trail."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Double,
    ForeignKey,
    Index,
    Integer,
    UniqueConstraint,
    false,
    func,
    literal_column,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.store.database import Json, UtcDateTime, Words, db
from app.values import LONGEST_LINE

_DUE = text("due_at IS NOT NULL")
_KEYED = text("idempotency_key IS NOT NULL")
#: Type of a 64-bit number that the database generates. SQLite generates numbers only in an INTEGER column.
_COUNTED = BigInteger().with_variant(Integer(), "sqlite")
_ORDERED = text("order_ref IS NOT NULL")
_CHILD = text("parent_id IS NOT NULL")
_FAILED = text("error IS NOT NULL")
_OF_TENANT = text("tenant IS NOT NULL")
_SEALED = text("data_key IS NOT NULL")
_VALID = text("erased_at IS NULL")
#: Conditions of partial indexes. Queries use these texts unchanged, because SQLite compares the texts to find an index.
UNFINISHED = text("status NOT IN ('completed', 'compensated')")
ENDED = text("status IN ('completed', 'compensated')")
OPEN_ITEM = text("settled IS NULL")
DEAD = text("due_at IS NULL AND delivered_at IS NULL")
LEAVES_UNKNOWN = text(
    "(\"trigger\" = 'compensate' AND substr(source, 1, 6) = 'STUCK_'"
    " OR substr(reason, 1, 31) = 'the probe found nothing to undo')"
)


class SagaRow(db.Model):  # type: ignore[name-defined,misc]  # Flask-SQLAlchemy makes its base class at run time
    """A saga. A column that a later release added is NULL in rows that were written before.

    Migration 0023 adds indexes of expressions, with which app.store.search finds the beginning of a text.
    """

    __tablename__ = "saga"
    __table_args__ = (
        Index("saga_idempotency", "idempotency_key", sqlite_where=_KEYED, postgresql_where=_KEYED),
        Index("saga_due", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),
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


class BulkJobRow(db.Model):  # type: ignore[name-defined,misc]
    """One action on many sagas. A process of the service works on it, one part after the other."""

    __tablename__ = "bulk_job"
    __table_args__ = (Index("bulk_job_due", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),)

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


class SagaTableRow(db.Model):  # type: ignore[name-defined,misc]
    """A table that sagas of one definition and version use. A version whose table was edited has several rows."""

    __tablename__ = "saga_table"
    __table_args__ = (UniqueConstraint("definition", "definition_version", "digest", name="saga_table_digest"),)

    id: Mapped[int] = mapped_column(_COUNTED, primary_key=True)
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


class OutboxRow(db.Model):  # type: ignore[name-defined,misc]
    """A move whose event is not yet published. A trigger of the database writes this row together with the move."""

    __tablename__ = "outbox"

    # There is no foreign key: the trigger writes both rows, and app.store.retention deletes no saga that has an event.
    id: Mapped[int] = mapped_column(_COUNTED, primary_key=True)
    saga_id: Mapped[UUID]
    seq: Mapped[int]
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class RelayRow(db.Model):  # type: ignore[name-defined,misc]
    """The only row of this table: who publishes events now. Processes that publish by parts share it.

    A process of a release before migration 0022 publishes all events alone, and holds this row under its own name.
    """

    __tablename__ = "relay"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str | None]
    until: Mapped[datetime] = mapped_column(UtcDateTime)


class RelayPartRow(db.Model):  # type: ignore[name-defined,misc]
    """A part of the sagas: the process that publishes the events of these sagas now. So each saga keeps its order."""

    __tablename__ = "relay_part"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    owner: Mapped[str | None]
    until: Mapped[datetime] = mapped_column(UtcDateTime)


class DeliveryRow(db.Model):  # type: ignore[name-defined,misc]
    """The message to one webhook about one move. A trigger of the database writes this row together with the move.

    A message that is to be sent has `due_at`. A delivered message has `delivered_at`. A dead letter has none of the
    two.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index("webhook_delivery_due", "webhook", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),
        Index("webhook_delivery_dead", "id", sqlite_where=DEAD, postgresql_where=DEAD),
        Index("webhook_delivery_saga", "saga_id"),
    )

    id: Mapped[int] = mapped_column(_COUNTED, primary_key=True)
    saga_id: Mapped[UUID] = mapped_column(ForeignKey("saga.id", ondelete="CASCADE"))
    #: Number of the move in the saga's journal.
    seq: Mapped[int]
    #: completed, compensated or stuck.
    event: Mapped[str]
    #: Name of the webhook in WEBHOOKS_FILE.
    webhook: Mapped[str]
    #: Address of the receiver.
    url: Mapped[str]
    #: When the move was committed.
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: Number of attempts, each counted before it is made.
    attempts: Mapped[int]
    #: Process that makes, or made, the last attempt.
    owner: Mapped[str | None]
    #: When any process can make the next attempt: the end of a lease or of a wait. NULL: no further attempt is made.
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Why the last attempt failed.
    error: Mapped[str | None]


class ParkedRow(db.Model):  # type: ignore[name-defined,misc]
    """A dead letter: an incoming message that was not accepted, with the reason and its body."""

    __tablename__ = "parked"

    id: Mapped[int] = mapped_column(_COUNTED, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    reason: Mapped[str]
    body: Mapped[str]


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


class UserRow(db.Model):  # type: ignore[name-defined,misc]  # Flask-SQLAlchemy makes its base class at run time
    """A person who can sign in to the admin pages."""

    __tablename__ = "user_account"
    __table_args__ = (Index("user_account_subject", "issuer", "subject", unique=True),)

    #: Name that the user signs in with.
    name: Mapped[str] = mapped_column(primary_key=True)
    #: viewer, operator or admin.
    role: Mapped[str]
    #: Tenant whose sagas the user sees; NULL: all sagas.
    tenant: Mapped[str | None]
    #: Argon2 hash of the password; `!`: the person signs in at a provider.
    password: Mapped[str]
    #: OpenID Connect provider at which the person signs in; NULL: the person has a password.
    issuer: Mapped[str | None]
    #: Id of the person at the provider; NULL: the next person whom the provider gives this name.
    subject: Mapped[str | None]
    #: True: an admin has set the password, and the user must choose another one.
    must_change: Mapped[bool] = mapped_column(server_default=false())
    #: Random text from which the second factor is derived; NULL: the user has none.
    factor_seed: Mapped[str | None]
    #: Period of the last code that was accepted. A code is accepted once.
    factor_step: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SessionRow(db.Model):  # type: ignore[name-defined,misc]
    """A session of a signed-in user."""

    __tablename__ = "user_session"

    #: SHA-256 of the cookie's value, so that nobody can sign in with a copy of this table.
    id: Mapped[str] = mapped_column(primary_key=True)
    user_name: Mapped[str] = mapped_column(ForeignKey("user_account.name"), index=True)
    #: After this moment the session is refused.
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: When the user signed in, from which address, and when the user last sent a request, to the minute.
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    address: Mapped[str | None]


class LoginAttemptRow(db.Model):  # type: ignore[name-defined,misc]
    """An attempt to sign in whose password was wrong or is being checked. It is deleted after a minute."""

    __tablename__ = "login_attempt"
    __table_args__ = (Index("login_attempt_address", "address", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    #: User name as typed.
    name: Mapped[str]
    #: IP address of the client.
    address: Mapped[str]
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class FailedSignInRow(db.Model):  # type: ignore[name-defined,misc]
    """The failed sign-ins of one user in one hour. Rows are deleted after some days."""

    __tablename__ = "failed_sign_in"

    hour: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    #: User; "": all names that no user has. Such a name is not stored, because it may be a password.
    name: Mapped[str] = mapped_column(primary_key=True)
    times: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_address: Mapped[str]


class ApiKeyRow(db.Model):  # type: ignore[name-defined,misc]
    """The API key of a program."""

    __tablename__ = "api_key"
    __table_args__ = (Index("api_key_name", "name"),)

    #: Visible first part of the key, by which people name it.
    prefix: Mapped[str] = mapped_column(primary_key=True)
    #: SHA-256 of the whole key.
    digest: Mapped[str] = mapped_column(unique=True)
    #: Name of the program that owns the key. Two keys of one program can be valid, so that one can replace the other.
    name: Mapped[str]
    #: List of grants, see app.access.grants.
    scopes: Mapped[Any] = mapped_column(Json)
    #: List of the networks that the key may be used from; NULL: everywhere.
    networks: Mapped[Any] = mapped_column(Json, nullable=True)
    #: Largest number of requests, such as `100/minute`; NULL: no limit.
    rate_limit: Mapped[str | None]
    #: Tenant whose sagas the key sees, and to which its sagas belong; NULL: all sagas, and none.
    tenant: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: When a process last wrote that the key was used; NULL: never.
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AuditRow(db.Model):  # type: ignore[name-defined,misc]
    """An action of a person or a program. The database refuses every change of a row."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_saga", "saga_id"), Index("audit_actor", "actor"))

    #: 1, 2, 3 …, without a gap.
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: Principal that acted.
    actor: Mapped[str]
    #: What was done, such as `key.add`.
    action: Mapped[str]
    saga_id: Mapped[UUID | None]
    #: User or key that the action changed. For an action on a saga: the name of its definition.
    target: Mapped[str | None]
    reason: Mapped[str | None]
    #: State before the action.
    before: Mapped[Any] = mapped_column(Json, nullable=True)
    #: State after the action.
    after: Mapped[Any] = mapped_column(Json, nullable=True)
    #: Hash of the row before.
    previous: Mapped[str]
    #: SHA-256 of `previous` and all other columns, see app.store.audit.
    hash: Mapped[str]


class AuditHeadRow(db.Model):  # type: ignore[name-defined,misc]
    """The only row of this table: the end of the audit trail. Each writer to the trail first locks this row."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    #: Number of the last row of the trail.
    seq: Mapped[int]
    #: Hash of the last row of the trail.
    hash: Mapped[str]
