"""The tables of messages: events and webhook messages to send, and incoming messages that failed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.store.database import COUNTED, Json, UtcDateTime, db
from app.store.models import DUE

#: Condition of a partial index. Queries use this text unchanged, see app.store.models.
DEAD = text("due_at IS NULL AND delivered_at IS NULL")


class OutboxRow(db.Model):  # type: ignore[name-defined,misc]
    """A move whose event is not yet published. A trigger of the database writes this row together with the move."""

    __tablename__ = "outbox"

    # There is no foreign key: the trigger writes both rows, and app.store.retention deletes no saga that has an event.
    id: Mapped[int] = mapped_column(COUNTED, primary_key=True)
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
        Index("webhook_delivery_due", "webhook", "due_at", sqlite_where=DUE, postgresql_where=DUE),
        Index("webhook_delivery_dead", "id", sqlite_where=DEAD, postgresql_where=DEAD),
        Index("webhook_delivery_saga", "saga_id"),
    )

    id: Mapped[int] = mapped_column(COUNTED, primary_key=True)
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

    id: Mapped[int] = mapped_column(COUNTED, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    reason: Mapped[str]
    body: Mapped[str]
    #: Tenant whose secret has signed the message; None: it belongs to no tenant.
    tenant: Mapped[str | None]
    #: Headers of the message that belong to its signature.
    signature: Mapped[dict[str, str] | None] = mapped_column(Json)
