"""The tables of access: people, their sessions, API keys and the audit trail."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, false
from sqlalchemy.orm import Mapped, mapped_column

from app.store.database import Json, UtcDateTime, db


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
