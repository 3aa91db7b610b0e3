"""The principal: the person or the program that sends a request."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from flask import g

from app.access.grants import Limits, granted
from app.access.permissions import SCOPES, Role, Scope
from app.store.queries import Reach


@dataclass(frozen=True, kw_only=True)
class Principal:
    """The sender of a request."""

    #: Name in the journal and the audit trail: `user:ada`, `key:shop`, or `api` when API_AUTH is off.
    actor: str
    #: Role of a person who is signed in; None for every other sender.
    role: Role | None = None
    #: True: the person must choose another password first.
    must_change: bool = False
    #: True: the person has signed in at the OpenID Connect provider, and has no password here.
    from_provider: bool = False
    scopes: frozenset[Scope] = frozenset()
    #: The scopes that an API key has only for some sagas.
    limits: Limits = field(default_factory=dict)
    #: Tenant whose sagas the sender sees and moves; None: the sagas of all tenants.
    tenant: str | None = None
    #: When the API key expires, if that is soon; None otherwise, and for every other sender.
    key_expires: str | None = None

    @property
    def name(self) -> str:
        return self.actor.partition(":")[2] or self.actor

    def has(self, role: Role) -> bool:
        return self.role is not None and self.role >= role

    def reaches(self, scope: Scope, saga_type: str, started_by: str | None) -> bool:
        """Return True when the sender has a scope for a saga. started_by: who has started it."""
        if scope not in self.scopes:
            return False
        own = started_by == self.actor
        return scope not in self.limits or any(limit.admits(saga_type, own=own) for limit in self.limits[scope])

    def may_start(self, saga_type: str) -> bool:
        """Return True when the sender may start sagas of a type."""
        return self.reaches(Scope.START, saga_type, self.actor)

    def reach(self, scope: Scope) -> Reach:
        """Return the sagas for which the sender has a scope, for a query."""
        if scope not in self.limits:
            return None
        return tuple((limit.saga_type, self.actor if limit.own else None) for limit in self.limits[scope])


NOBODY = Principal(actor="nobody")
#: Every sender when API_AUTH is off.
ANYBODY = Principal(actor="api", scopes=frozenset(Scope))


def user(
    name: str, role: Role, *, must_change: bool = False, tenant: str | None = None, from_provider: bool = False
) -> Principal:
    return Principal(
        actor=f"user:{name}", role=role, scopes=SCOPES[role], must_change=must_change, tenant=tenant,
        from_provider=from_provider,
    )  # fmt: skip


def key(name: str, grants: Iterable[str], expires: str | None = None, tenant: str | None = None) -> Principal:
    """Return the principal of an API key. grants: see `app.access.grants`. expires: see `Principal.key_expires`."""
    scopes, limits = granted(grants)
    return Principal(actor=f"key:{name}", scopes=scopes, limits=limits, key_expires=expires, tenant=tenant)


def principal() -> Principal:
    """Return the sender of the current request."""
    found: Principal = g.get("principal", NOBODY)
    return found
