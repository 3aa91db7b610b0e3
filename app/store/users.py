"""Users and their sessions. Each change of a user and its audit row are one transaction."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.errors import ConflictError, NotFoundError
from app.store.access import SessionRow, UserRow
from app.store.atomic import atomic
from app.store.audit import Entry, append, record
from app.store.database import db_now, in_seconds

_USER, _SESSION = UserRow.__table__, SessionRow.__table__
_ADMIN = "admin"


class Users:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> list[Row[Any]]:
        with self._engine.connect() as connection:
            return list(connection.execute(select(_USER).order_by(_USER.c.name)).all())

    def find(self, name: str) -> Row[Any] | None:
        with self._engine.connect() as connection:
            return connection.execute(select(_USER).where(_USER.c.name == name)).one_or_none()

    def add(self, name: str, role: str, password: str, actor: str) -> None:
        """Add a user with a hashed password. Raise ConflictError when the name is taken."""
        new = insert(_USER).values(name=name, role=role, password=password, created_at=db_now())
        try:
            with atomic(self._engine) as connection:
                connection.execute(new)
                append(connection, _entry(actor, "user.add", name, after={"role": role}))
        except IntegrityError:
            raise ConflictError(f"there is a user {name} already") from None

    def change_role(self, name: str, role: str, actor: str) -> None:
        """Set a user's role. Raise NotFoundError, and ConflictError for the last admin."""
        with atomic(self._engine) as connection:
            before = self._known(connection, name, stays_admin=role == _ADMIN)
            connection.execute(update(_USER).where(_USER.c.name == name).values(role=role))
            append(connection, _entry(actor, "user.role", name, before={"role": before.role}, after={"role": role}))

    def change_password(self, name: str, password: str, actor: str) -> None:
        """Set the hash of a new password and end all sessions of the user. Raise NotFoundError."""
        with atomic(self._engine) as connection:
            self._known(connection, name, stays_admin=True)
            connection.execute(update(_USER).where(_USER.c.name == name).values(password=password))
            connection.execute(delete(_SESSION).where(_SESSION.c.user_name == name))
            append(connection, _entry(actor, "user.password", name))

    def remove(self, name: str, actor: str) -> None:
        """Remove a user and the user's sessions. Raise NotFoundError, and ConflictError for the last admin."""
        with atomic(self._engine) as connection:
            before = self._known(connection, name, stays_admin=False)
            connection.execute(delete(_SESSION).where(_SESSION.c.user_name == name))
            connection.execute(delete(_USER).where(_USER.c.name == name))
            append(connection, _entry(actor, "user.remove", name, before={"role": before.role}))

    def sign_in(self, name: str, session: str, lasts_s: float, address: str) -> None:
        """Begin a session. Raise NotFoundError when the user was removed meanwhile."""
        new = insert(_SESSION).values(id=session, user_name=name, ends_at=in_seconds(lasts_s))
        with atomic(self._engine) as connection:
            self._known(connection, name, stays_admin=True)
            connection.execute(delete(_SESSION).where(_SESSION.c.ends_at < db_now()))
            connection.execute(new)
            append(connection, _entry(f"user:{name}", "sign_in", name, after={"address": address}))

    def refused(self, name: str | None, address: str) -> None:
        """Record a failed sign-in in the audit trail. name: None when there is no such user.

        The typed name is not recorded then: it may be a password.
        """
        record(self._engine, Entry(actor="nobody", action="sign_in.refused", target=name, after={"address": address}))

    def signed_in(self, session: str) -> Row[Any] | None:
        """Return the user of a session, with the user's present role."""
        query = select(_USER.c.name, _USER.c.role).join(_SESSION, _SESSION.c.user_name == _USER.c.name)
        with self._engine.connect() as connection:
            alive = query.where(_SESSION.c.id == session, _SESSION.c.ends_at > db_now())
            return connection.execute(alive).one_or_none()

    def sign_out(self, session: str) -> None:
        with self._engine.connect() as connection:
            connection.execute(delete(_SESSION).where(_SESSION.c.id == session))

    @staticmethod
    def _known(connection: Connection, name: str, *, stays_admin: bool) -> Row[Any]:
        """Return the user, locked. Also lock all admins when one of them may be removed."""
        if not stays_admin:  # always in the same order, so that two transactions cannot deadlock
            admins = select(_USER.c.name).where(_USER.c.role == _ADMIN).order_by(_USER.c.name).with_for_update()
            if connection.execute(admins).scalars().all() == [name]:
                raise ConflictError(f"{name} is the last admin; make another one first")
        user = connection.execute(select(_USER).where(_USER.c.name == name).with_for_update()).one_or_none()
        if user is None:
            raise NotFoundError(f"there is no user {name}")
        return user


def _entry(
    actor: str,
    action: str,
    name: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Entry:
    return Entry(actor=actor, action=action, target=name, before=before, after=after)
