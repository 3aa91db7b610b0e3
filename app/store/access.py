"""The database tables for access: users, their sessions, API keys, and the audit trail."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.store.database import Json, UtcDateTime, db


class UserRow(db.Model):  # type: ignore[name-defined,misc]  # Flask-SQLAlchemy makes its base class at run time
    """A person who may sign in."""

    __tablename__ = "user_account"

    #: Name that the user signs in with.
    name: Mapped[str] = mapped_column(primary_key=True)
    #: viewer, operator or admin.
    role: Mapped[str]
    #: Argon2 hash of the password.
    password: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SessionRow(db.Model):  # type: ignore[name-defined,misc]
    """A session of a signed-in user."""

    __tablename__ = "user_session"

    #: SHA-256 of the cookie's value, so that a copy of this table signs nobody in.
    id: Mapped[str] = mapped_column(primary_key=True)
    user_name: Mapped[str] = mapped_column(ForeignKey("user_account.name"), index=True)
    #: After this moment the session is refused.
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LoginAttemptRow(db.Model):  # type: ignore[name-defined,misc]
    """A password attempt that failed or is being checked; deleted after a minute."""

    __tablename__ = "login_attempt"
    __table_args__ = (Index("login_attempt_address", "address", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    #: User name as typed.
    name: Mapped[str]
    #: IP address of the client.
    address: Mapped[str]
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class ApiKeyRow(db.Model):  # type: ignore[name-defined,misc]
    """The API key of a program."""

    __tablename__ = "api_key"
    __table_args__ = (Index("api_key_name", "name"),)

    #: Visible first part of the key, by which people name it.
    prefix: Mapped[str] = mapped_column(primary_key=True)
    #: SHA-256 of the whole key.
    digest: Mapped[str] = mapped_column(unique=True)
    #: Owner. Two keys of one owner may be valid at once, so that one can replace the other.
    name: Mapped[str]
    #: List of scopes: read, start, operate.
    scopes: Mapped[Any] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AuditRow(db.Model):  # type: ignore[name-defined,misc]
    """An action of a person or program. The database refuses any change of a row."""

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
    #: User or key that the action changed; of an action on a saga, its type.
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
    """The one row with the end of the audit trail. Each writer to the trail locks it first."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    #: Number of the last row of the trail.
    seq: Mapped[int]
    #: Hash of the last row of the trail.
    hash: Mapped[str]
