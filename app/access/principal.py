"""The principal: the person or the program that sends a request."""

from dataclasses import dataclass

from flask import g

from app.access.permissions import SCOPES, Role, Scope


@dataclass(frozen=True, kw_only=True)
class Principal:
    """The sender of a request."""

    #: Name in the journal and the audit trail: `user:ada`, `key:shop`, or `api` when API_AUTH is off.
    actor: str
    #: Role of a person who is signed in; None for every other sender.
    role: Role | None = None
    scopes: frozenset[Scope] = frozenset()

    @property
    def name(self) -> str:
        return self.actor.partition(":")[2] or self.actor

    def has(self, role: Role) -> bool:
        return self.role is not None and self.role >= role


NOBODY = Principal(actor="nobody")
#: Every sender when API_AUTH is off.
ANYBODY = Principal(actor="api", scopes=frozenset(Scope))


def user(name: str, role: Role) -> Principal:
    return Principal(actor=f"user:{name}", role=role, scopes=SCOPES[role])


def key(name: str, scopes: frozenset[Scope]) -> Principal:
    return Principal(actor=f"key:{name}", scopes=scopes)


def principal() -> Principal:
    """Return the sender of the current request."""
    found: Principal = g.get("principal", NOBODY)
    return found
