"""The tables of who may do what, and of who did: users, their sessions, API keys, and the audit trail."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.store.database import Json, UtcDateTime, db


class UserRow(db.Model):  # type: ignore[name-defined,misc]  # Flask-SQLAlchemy makes its base class at run time
    """A person who may sign in. role: viewer, operator or admin. password: what argon2 made of it."""

    __tablename__ = "user_account"

    name: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str]
    password: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SessionRow(db.Model):  # type: ignore[name-defined,misc]
    """Somebody who is signed in. id: SHA-256 of what the cookie names, so that no copy of the table signs in."""

    __tablename__ = "user_session"

    id: Mapped[str] = mapped_column(primary_key=True)
    user_name: Mapped[str] = mapped_column(ForeignKey("user_account.name"), index=True)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LoginAttemptRow(db.Model):  # type: ignore[name-defined,misc]
    """A password that was offered and was not right, or is being checked; forgotten after a minute."""

    __tablename__ = "login_attempt"
    __table_args__ = (Index("login_attempt_address", "address", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    address: Mapped[str]
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class ApiKeyRow(db.Model):  # type: ignore[name-defined,misc]
    """A program's key. prefix: its visible beginning, by which people call it. digest: SHA-256 of the whole of it.

    name: whose it is; two of one name may live at once, so that one can take over from the other.
    """

    __tablename__ = "api_key"
    __table_args__ = (Index("api_key_name", "name"),)

    prefix: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    scopes: Mapped[Any] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AuditRow(db.Model):  # type: ignore[name-defined,misc]
    """What somebody did: by whom, what, to what, why, and how it was before and after. The database refuses a change.

    seq: 1, 2, 3 …, without a gap. target: the user or the key it was done to. previous: the hash of the row before;
    hash: SHA-256 of that and of all the rest, see app.store.audit.
    """

    __tablename__ = "audit"
    __table_args__ = (Index("audit_saga", "saga_id"), Index("audit_actor", "actor"))

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str]
    action: Mapped[str]
    saga_id: Mapped[UUID | None]
    target: Mapped[str | None]
    reason: Mapped[str | None]
    before: Mapped[Any] = mapped_column(Json, nullable=True)
    after: Mapped[Any] = mapped_column(Json, nullable=True)
    previous: Mapped[str]
    hash: Mapped[str]


class AuditHeadRow(db.Model):  # type: ignore[name-defined,misc]
    """The one row that says how far the trail goes. Whoever writes to the trail locks it first."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int]
    hash: Mapped[str]
