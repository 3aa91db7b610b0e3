"""The accounts of people who sign in at an OpenID Connect provider. The provider decides the role at each sign-in."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy import Engine as Database
from sqlalchemy.exc import IntegrityError

from app.errors import ConflictError
from app.store.access_models import SessionRow, UserRow
from app.store.audit import Entry, append, has_acted
from app.store.database import db_now
from app.store.tenants import provide
from app.store.transactions import atomic

_USER, _SESSION = UserRow.__table__, SessionRow.__table__
#: Principal in the audit trail of what the groups of a provider change.
_PROVIDER = "oidc"
#: No password has this hash, also not in an earlier release.
_NO_PASSWORD = "!"  # noqa: S105  it is none


@dataclass(frozen=True, kw_only=True)
class Person:
    """A person who has signed in at the provider."""

    issuer: str
    #: Id at the provider. It never changes, and no other person gets it.
    subject: str
    #: Legal name of an account.
    name: str
    role: str
    #: Tenant whose sagas the person sees; None: all.
    tenant: str | None = None


def enter(database: Database, person: Person) -> str:
    """Return the name of the person's account. Add it at the first sign-in; set the role and tenant at each.

    An account is found by the id at the provider, never by its name: the name may be that of somebody else here. Raise
    ConflictError when it is.
    """
    if person.tenant is not None:
        provide(database)
    try:
        with atomic(database) as connection:
            found = _account_of(connection, person)
            if found is None:
                _add(connection, person)
                return person.name
            _update(connection, found, person)
            return str(found.name)
    except IntegrityError:
        raise ConflictError("this person signs in twice at this moment; try again") from None


def move_to_provider(database: Database, name: str, issuer: str, actor: str) -> None:
    """Let the person whom the provider gives this name use the account `name` from the next sign-in on.

    The account loses its password and its second factor, and its sessions end. Without such an account, one is made.
    """
    changed = {
        "issuer": issuer, "subject": None, "password": _NO_PASSWORD, "must_change": False, "factor_seed": None,
        "factor_step": None,
    }  # fmt: skip
    with atomic(database) as connection:
        if connection.execute(update(_USER).where(_USER.c.name == name).values(changed)).rowcount == 0:
            connection.execute(insert(_USER).values(name=name, role="viewer", created_at=db_now(), **changed))
        connection.execute(delete(_SESSION).where(_SESSION.c.user_name == name))
        append(connection, Entry(actor=actor, action="user.single_sign_on", target=name, after={"issuer": issuer}))


def _account_of(connection: Connection, person: Person) -> Row[Any] | None:
    """Return and lock the account of a person; None when it must be made."""
    of_person = (_USER.c.issuer == person.issuer, _USER.c.subject == person.subject)
    found = connection.execute(select(_USER).where(*of_person).with_for_update()).one_or_none()
    if found is not None:
        return found
    named = connection.execute(select(_USER).where(_USER.c.name == person.name).with_for_update()).one_or_none()
    if named is None and not has_acted(connection, f"user:{person.name}"):
        return None
    if named is None or named.issuer != person.issuer or named.subject is not None:
        raise ConflictError(
            f"the name {person.name} is that of another account, or of an earlier one; if it is the same person, an "
            f"admin runs `saga user single-sign-on {person.name}`"
        )
    return named


def _add(connection: Connection, person: Person) -> None:
    new = {"name": person.name, "role": person.role, "tenant": person.tenant, "password": _NO_PASSWORD}
    at_provider = {"issuer": person.issuer, "subject": person.subject}
    connection.execute(insert(_USER).values(created_at=db_now(), **new, **at_provider))
    append(connection, _entry("user.add", person.name, None, _rights(person) | at_provider))


def _update(connection: Connection, found: Row[Any], person: Person) -> None:
    changed = {"role": person.role, "tenant": person.tenant, "subject": person.subject}
    connection.execute(update(_USER).where(_USER.c.name == found.name).values(changed))
    before, after = _rights(found), _rights(person)
    if found.subject is None:
        after |= {"issuer": person.issuer, "subject": person.subject}
    if before != after:
        append(connection, _entry("user.role", found.name, before, after))


def _rights(person: Person | Row[Any]) -> dict[str, str]:
    return {"role": person.role} | ({"tenant": person.tenant} if person.tenant else {})


def _entry(action: str, name: str, before: dict[str, str] | None, after: dict[str, str]) -> Entry:
    return Entry(actor=_PROVIDER, action=action, target=name, before=before, after=after)
