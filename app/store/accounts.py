"""Users and their sessions. A change of a user is committed in one transaction with its audit row."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select, update
from sqlalchemy import Engine as Database
from sqlalchemy.exc import IntegrityError

from app.errors import ConflictError, InvalidError, NotFoundError
from app.store import saved_views
from app.store.access_models import SessionRow, UserRow
from app.store.audit import Entry, append, has_acted
from app.store.database import db_now, in_seconds, seconds_until
from app.store.tenants import provide
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
        self, name: str, role: str, password: str, actor: str, *, same_person: bool = False, must_change: bool = False,
        tenant: str | None = None,
    ) -> None:  # fmt: skip
        """Add a user with a hashed password. Raise ConflictError when the name is taken, or was that of another person.

        same_person: True: a removed user of this name, who is in the audit trail, is the same person.
        must_change: True: the user must choose another password after the sign-in. tenant: whose sagas the user sees;
        None: all. Raise InvalidError for an admin of a tenant.
        """
        _check_admin(role, tenant)
        if tenant is not None:
            provide(self._database)
        row = {"name": name, "role": role, "password": password, "must_change": must_change, "tenant": tenant}
        new = insert(_USER).values(created_at=db_now(), **row)
        try:
            with atomic(self._database) as connection:
                connection.execute(new)
                if not same_person and has_acted(connection, f"user:{name}"):
                    raise ConflictError(
                        f"the audit trail names an earlier user {name}; choose another name, or confirm that it is the "
                        "same person"
                    )
                after = {"role": role} | ({"tenant": tenant} if tenant else {})
                append(connection, _entry(actor, "user.add", name, after=after))
        except IntegrityError:
            raise ConflictError(f"there is a user {name} already") from None

    def change_role(self, name: str, role: str, actor: str) -> None:
        """Set a user's role. Raise NotFoundError for an unknown user, and ConflictError for the last admin."""
        with atomic(self._database) as connection:
            before = self._known(connection, name, stays_admin=role == _ADMIN)
            _check_local(before)
            _check_admin(role, before.tenant)
            connection.execute(update(_USER).where(_USER.c.name == name).values(role=role))
            append(connection, _entry(actor, "user.role", name, before={"role": before.role}, after={"role": role}))

    def change_password(
        self, name: str, password: str, actor: str, *, must_change: bool = False, keep: str | None = None
    ) -> None:
        """Set the hash of a new password and end the sessions of the user. Raise NotFoundError for an unknown user.

        must_change: see `add`. keep: the session that goes on.
        """
        with atomic(self._database) as connection:
            _check_local(self._known(connection, name, stays_admin=True))
            changed = {"password": password, "must_change": must_change}
            connection.execute(update(_USER).where(_USER.c.name == name).values(changed))
            connection.execute(delete(_SESSION).where(_others(name, keep)))
            append(connection, _entry(actor, "user.password", name))

    def change_factor(self, name: str, seed: str | None, actor: str) -> None:
        """Set up the second factor of a user, or remove it (None). Raise NotFoundError for an unknown user."""
        with atomic(self._database) as connection:
            _check_local(self._known(connection, name, stays_admin=True))
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
            saved_views.forget(connection, f"user:{name}")
            append(connection, _entry(actor, "user.remove", name, before={"role": before.role}))

    def sign_in(self, name: str, session: str, lasts_s: float, address: str) -> None:
        """Store a new session that ends after `lasts_s` seconds. Raise NotFoundError when the user was removed.

        The audit row of a user who has signed in at a provider names the provider and the user's id there.
        """
        now = {"started_at": db_now(), "seen_at": db_now()}
        new = insert(_SESSION).values(
            id=session, user_name=name, address=address or None, ends_at=in_seconds(lasts_s), **now
        )
        with atomic(self._database) as connection:
            user = self._known(connection, name, stays_admin=True)
            connection.execute(delete(_SESSION).where(_SESSION.c.ends_at < db_now()))
            connection.execute(new)
            after = {"address": address}
            if user.issuer is not None:
                after |= {"issuer": user.issuer, "subject": user.subject}
            append(connection, _entry(f"user:{name}", "sign_in", name, after=after))

    def signed_in(self, session: str, idle_s: float) -> Row[Any] | None:
        """Return the user of a session; None when it has ended, or was not used for `idle_s` seconds.

        The row has the name, the current role, the tenant, must_change, the issuer, and unseen_s, the seconds since the
        last use was written.
        """
        unseen_s = (-seconds_until(_SESSION.c.seen_at)).label("unseen_s")
        query = select(_USER.c.name, _USER.c.role, _USER.c.tenant, _USER.c.must_change, _USER.c.issuer, unseen_s)
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


def _check_admin(role: str, tenant: str | None) -> None:
    if role == _ADMIN and tenant is not None:
        raise InvalidError(("/role", "An admin manages the users and keys of all tenants; give viewer or operator."))


def _check_local(user: Row[Any]) -> None:
    """Raise ConflictError for a user who signs in at a provider."""
    if user.issuer is not None:
        raise ConflictError(f"{user.name} signs in at {user.issuer}, which decides the role and has the password")


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
