"""Users and their sessions, password attempts, and API keys.

A change of a user or a key is committed in one transaction with its audit row.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    and_,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy import Engine as Database
from sqlalchemy.exc import IntegrityError

from app.errors import ConflictError, NotFoundError
from app.store.audit import Entry, append, has_acted, record
from app.store.database import db_now, in_seconds, seconds_until
from app.store.models import ApiKeyRow, LoginAttemptRow, SessionRow, UserRow
from app.store.transactions import atomic

_USER, _SESSION = UserRow.__table__, SessionRow.__table__
_ADMIN = "admin"


class Users:
    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Row[Any]]:
        with self._database.connect() as connection:
            return list(connection.execute(select(_USER).order_by(_USER.c.name)).all())

    def find(self, name: str) -> Row[Any] | None:
        with self._database.connect() as connection:
            return connection.execute(select(_USER).where(_USER.c.name == name)).one_or_none()

    def add(
        self, name: str, role: str, password: str, actor: str, *, same_person: bool = False, must_change: bool = False
    ) -> None:
        """Add a user with a hashed password. Raise ConflictError when the name is taken, or was that of another person.

        same_person: True: a removed user of this name, who is in the audit trail, is the same person.
        must_change: True: the user must choose another password after the sign-in.
        """
        row = {"name": name, "role": role, "password": password, "must_change": must_change}
        new = insert(_USER).values(created_at=db_now(), **row)
        try:
            with atomic(self._database) as connection:
                connection.execute(new)
                if not same_person and has_acted(connection, f"user:{name}"):
                    raise ConflictError(
                        f"the audit trail names an earlier user {name}; choose another name, or confirm that it is the "
                        "same person"
                    )
                append(connection, _entry(actor, "user.add", name, after={"role": role}))
        except IntegrityError:
            raise ConflictError(f"there is a user {name} already") from None

    def change_role(self, name: str, role: str, actor: str) -> None:
        """Set a user's role. Raise NotFoundError for an unknown user, and ConflictError for the last admin."""
        with atomic(self._database) as connection:
            before = self._known(connection, name, stays_admin=role == _ADMIN)
            connection.execute(update(_USER).where(_USER.c.name == name).values(role=role))
            append(connection, _entry(actor, "user.role", name, before={"role": before.role}, after={"role": role}))

    def change_password(
        self, name: str, password: str, actor: str, *, must_change: bool = False, keep: str | None = None
    ) -> None:
        """Set the hash of a new password and end the sessions of the user. Raise NotFoundError for an unknown user.

        must_change: see `add`. keep: the session that goes on.
        """
        with atomic(self._database) as connection:
            self._known(connection, name, stays_admin=True)
            changed = {"password": password, "must_change": must_change}
            connection.execute(update(_USER).where(_USER.c.name == name).values(changed))
            connection.execute(delete(_SESSION).where(_others(name, keep)))
            append(connection, _entry(actor, "user.password", name))

    def change_factor(self, name: str, seed: str | None, actor: str) -> None:
        """Set up the second factor of a user, or remove it (None). Raise NotFoundError for an unknown user."""
        with atomic(self._database) as connection:
            self._known(connection, name, stays_admin=True)
            changed = {"factor_seed": seed, "factor_step": None}
            connection.execute(update(_USER).where(_USER.c.name == name).values(changed))
            append(connection, _entry(actor, "user.second_factor", name, after={"second_factor": seed is not None}))

    def accept_code(self, name: str, seed: str, step: int) -> bool:
        """Write that the code of a period was used. Return False when it, or a later one, was used before."""
        unused = or_(_USER.c.factor_step.is_(None), _USER.c.factor_step < step)
        of_user = and_(_USER.c.name == name, _USER.c.factor_seed == seed, unused)
        with self._database.connect() as connection:
            return connection.execute(update(_USER).where(of_user).values(factor_step=step)).rowcount == 1

    def remove(self, name: str, actor: str) -> None:
        """Remove a user and the user's sessions. Raise NotFoundError if unknown, ConflictError for the last admin."""
        with atomic(self._database) as connection:
            before = self._known(connection, name, stays_admin=False)
            connection.execute(delete(_SESSION).where(_SESSION.c.user_name == name))
            connection.execute(delete(_USER).where(_USER.c.name == name))
            append(connection, _entry(actor, "user.remove", name, before={"role": before.role}))

    def sign_in(self, name: str, session: str, lasts_s: float, address: str) -> None:
        """Store a new session that ends after `lasts_s` seconds. Raise NotFoundError when the user was removed."""
        now = {"started_at": db_now(), "seen_at": db_now()}
        new = insert(_SESSION).values(
            id=session, user_name=name, address=address or None, ends_at=in_seconds(lasts_s), **now
        )
        with atomic(self._database) as connection:
            self._known(connection, name, stays_admin=True)
            connection.execute(delete(_SESSION).where(_SESSION.c.ends_at < db_now()))
            connection.execute(new)
            append(connection, _entry(f"user:{name}", "sign_in", name, after={"address": address}))

    def refused(self, name: str | None, address: str) -> None:
        """Record a failed sign-in in the audit trail. name: the user; None when no user has the typed name.

        Such a name is not recorded, because it may be a password.
        """
        record(self._database, Entry(actor="nobody", action="sign_in.refused", target=name, after={"address": address}))

    def signed_in(self, session: str, idle_s: float) -> Row[Any] | None:
        """Return the user of a session; None when it has ended, or was not used for `idle_s` seconds.

        The row has the name, the current role, must_change, and unseen_s, the seconds since the last use was written.
        """
        unseen_s = (-seconds_until(_SESSION.c.seen_at)).label("unseen_s")
        query = select(_USER.c.name, _USER.c.role, _USER.c.must_change, unseen_s)
        query = query.join(_SESSION, _SESSION.c.user_name == _USER.c.name)
        with self._database.connect() as connection:
            return connection.execute(query.where(_SESSION.c.id == session, *_alive(idle_s))).one_or_none()

    def seen(self, session: str) -> None:
        """Write that a session was used now."""
        with self._database.connect() as connection:
            connection.execute(update(_SESSION).where(_SESSION.c.id == session).values(seen_at=db_now()))

    def sessions(self, name: str, idle_s: float) -> Sequence[Row[Any]]:
        """Return the sessions of a user, the newest first. idle_s: see `signed_in`."""
        query = select(_SESSION).where(_SESSION.c.user_name == name, *_alive(idle_s))
        with self._database.connect() as connection:
            return connection.execute(query.order_by(_SESSION.c.started_at.desc(), _SESSION.c.id)).all()

    def end_others(self, name: str, keep: str) -> None:
        """End the sessions of a user except one."""
        with atomic(self._database) as connection:
            connection.execute(delete(_SESSION).where(_others(name, keep)))
            append(connection, _entry(f"user:{name}", "sign_out.others", name))

    def sign_out(self, session: str) -> None:
        with self._database.connect() as connection:
            connection.execute(delete(_SESSION).where(_SESSION.c.id == session))

    @staticmethod
    def _known(connection: Connection, name: str, *, stays_admin: bool) -> Row[Any]:
        """Lock and return the user's row. Raise NotFoundError for an unknown user.

        stays_admin: False when the user will not be an admin after the change. In this case lock all admins first, and
        raise ConflictError for the last admin.
        """
        if not stays_admin:  # the rows are locked in a fixed order, so that two transactions cannot deadlock
            admins = select(_USER.c.name).where(_USER.c.role == _ADMIN).order_by(_USER.c.name).with_for_update()
            if connection.execute(admins).scalars().all() == [name]:
                raise ConflictError(f"{name} is the last admin; make another one first")
        user = connection.execute(select(_USER).where(_USER.c.name == name).with_for_update()).one_or_none()
        if user is None:
            raise NotFoundError(f"there is no user {name}")
        return user


def _alive(idle_s: float) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for sessions that can be used. A session of an earlier release has no time of its use."""
    return _SESSION.c.ends_at > db_now(), func.coalesce(_SESSION.c.seen_at, db_now()) > in_seconds(-idle_s)


def _others(name: str, keep: str | None) -> ColumnElement[bool]:
    of_user = _SESSION.c.user_name == name
    return of_user if keep is None else and_(of_user, _SESSION.c.id != keep)


def _entry(
    actor: str,
    action: str,
    name: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Entry:
    return Entry(actor=actor, action=action, target=name, before=before, after=after)


_ATTEMPT = LoginAttemptRow.__table__
#: Within ATTEMPT_WINDOW_S seconds one address can fail OF_ONE_NAME times for one name, and OF_ALL_NAMES times for all
#: names. Other addresses can still sign in with the name; otherwise anyone who knows it could lock the operator out.
ATTEMPT_WINDOW_S, OF_ONE_NAME, OF_ALL_NAMES = 60.0, 5, 20


class LoginAttempts:
    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, name: str, address: str) -> bool:
        """Record an attempt before its password is checked. Return False, without a record, after too many attempts.

        The caller must then refuse the attempt without a check of its password.
        """
        attempt_id = uuid4()
        with self._database.connect() as connection:
            connection.execute(delete(_ATTEMPT).where(_ATTEMPT.c.at < in_seconds(-ATTEMPT_WINDOW_S)))
            connection.execute(insert(_ATTEMPT).values(id=attempt_id, name=name, address=address, at=db_now()))
            # The count comes after the insert, so that each of several simultaneous attempts counts the others.
            of_name = func.sum(case((_ATTEMPT.c.name == name, 1), else_=0))
            counted = select(of_name, func.count()).where(_ATTEMPT.c.address == address)
            names, all_names = connection.execute(counted).one()
        allowed = names <= OF_ONE_NAME and all_names <= OF_ALL_NAMES
        if not allowed:  # an attempt whose password is not checked must not extend the time until the next one
            self._forget(attempt_id)
        return bool(allowed)

    def forgive(self, name: str, address: str) -> None:
        """Delete the attempts for this name from this address, because a correct password followed."""
        mine = and_(_ATTEMPT.c.name == name, _ATTEMPT.c.address == address)
        with self._database.connect() as connection:
            connection.execute(delete(_ATTEMPT).where(mine))

    def _forget(self, attempt_id: UUID) -> None:
        with self._database.connect() as connection:
            connection.execute(delete(_ATTEMPT).where(_ATTEMPT.c.id == attempt_id))


_KEY = ApiKeyRow.__table__
_VALID = (_KEY.c.revoked_at.is_(None), _KEY.c.expires_at > db_now())
#: Most valid keys of one name: the one in use, and the one that replaces it.
MAX_VALID_KEYS = 2
_DAY_S = 86_400.0
#: A key that expires within this time gives notice: in its answers, on the page, on the command line and as a metric.
NOTICE_S = 14 * _DAY_S


def expiring_names() -> ScalarSelect[int]:
    """Return the query for the number of names whose last valid key expires soon. A key with a successor is not one."""
    soon = func.max(_KEY.c.expires_at) <= in_seconds(NOTICE_S)
    names = select(_KEY.c.name).where(*_VALID).group_by(_KEY.c.name).having(soon).subquery()
    return select(func.count()).select_from(names).scalar_subquery()


class ApiKeys:
    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Sequence[Row[Any]]:
        """Return every key, grouped by name.

        Column left_s: seconds until the key becomes invalid; below 0 for invalid keys.
        """
        left_s = seconds_until(func.coalesce(_KEY.c.revoked_at, _KEY.c.expires_at)).label("left_s")
        query = select(_KEY, left_s).order_by(_KEY.c.name, _KEY.c.created_at.desc())
        with self._database.connect() as connection:
            return connection.execute(query).all()

    def add(
        self, *, prefix: str, digest: str, name: str, scopes: Sequence[str], networks: Sequence[str],
        rate_limit: str | None, days: int, actor: str,
    ) -> None:  # fmt: skip
        """Add a key. Raise ConflictError when two keys of that name are valid already."""
        limits = {"networks": list(networks) or None, "rate_limit": rate_limit}
        details = {"scopes": list(scopes), "days": days} | {name: limit for name, limit in limits.items() if limit}
        with atomic(self._database) as connection:
            # The audit row comes first, because its lock makes a simultaneous `add` wait and then count this key.
            append(connection, Entry(actor=actor, action="key.add", target=f"{name} {prefix}", after=details))
            valid = connection.scalar(select(func.count()).where(_KEY.c.name == name, *_VALID)) or 0
            if valid >= MAX_VALID_KEYS:
                raise ConflictError(f"{name} has {valid} live keys already; revoke one of them first")
            row = {"prefix": prefix, "digest": digest, "name": name, "scopes": list(scopes)} | limits
            connection.execute(insert(_KEY).values(created_at=db_now(), expires_at=in_seconds(days * _DAY_S), **row))

    def revoke(self, prefix: str, actor: str) -> None:
        """Revoke a key. Raise NotFoundError for an unknown key, and ConflictError for a key that is no longer valid."""
        with atomic(self._database) as connection:
            known = connection.execute(select(_KEY).where(_KEY.c.prefix == prefix)).one_or_none()
            if known is None:
                raise NotFoundError(f"there is no key {prefix}")
            ended = update(_KEY).where(_KEY.c.prefix == prefix, *_VALID).values(revoked_at=db_now())
            if connection.execute(ended).rowcount != 1:
                raise ConflictError(f"the key {prefix} is not valid any more: it was revoked or has expired")
            details = {"scopes": known.scopes}
            append(connection, Entry(actor=actor, action="key.revoke", target=f"{known.name} {prefix}", before=details))

    def find_valid(self, digest: str) -> Row[Any] | None:
        """Return a valid key, and left_s, the seconds until it expires; None for any other key."""
        query = select(_KEY, seconds_until(_KEY.c.expires_at).label("left_s"))
        with self._database.connect() as connection:
            return connection.execute(query.where(_KEY.c.digest == digest, *_VALID)).one_or_none()

    def used(self, prefixes: Sequence[str], every_s: float) -> None:
        """Write that keys were used now. A time that is less than `every_s` seconds old is not written again."""
        old = or_(_KEY.c.last_used_at.is_(None), _KEY.c.last_used_at < in_seconds(-every_s))
        with self._database.connect() as connection:
            for prefix in prefixes:  # one row a statement, so that two processes cannot deadlock
                connection.execute(update(_KEY).where(_KEY.c.prefix == prefix, old).values(last_used_at=db_now()))
