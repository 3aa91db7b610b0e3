"""The permissions: roles of people, scopes of programs, and the permission that each view needs."""

from collections.abc import Callable
from enum import IntEnum, StrEnum
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])


class Role(IntEnum):
    """The role of a person. Each role includes the ones before it.

    viewer: read. operator: act on sagas. admin: manage users and keys.
    """

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        return self.name.lower()


class Scope(StrEnum):
    """The scope of a program. read: read. start: start sagas. operate: retry, compensate, resolve."""

    READ = "read"
    START = "start"
    OPERATE = "operate"


#: The scopes that a person has at the API.
SCOPES = {
    Role.VIEWER: frozenset({Scope.READ}),
    Role.OPERATOR: frozenset(Scope),
    Role.ADMIN: frozenset(Scope),
}


def role_named(word: str) -> Role:
    """Return the role of this name. Raise KeyError for another word."""
    return Role[word.upper()]


class Open:
    """No permission is needed."""


OPEN = Open()
Need = Role | Scope | Open
#: Routes of libraries, by endpoint: the static files, and /metrics.
_OF_LIBRARIES = {"static": OPEN, "prometheus_metrics": OPEN}


def needs(permission: Need) -> Callable[[View], View]:
    """Declare the permission of a view: a role for a page, a scope for the API, or OPEN. Put it below the route.

    A view without this declaration is refused to everybody.
    """

    def mark(view: View) -> View:
        vars(view)["need"] = permission
        return view

    return mark


def need_of(endpoint: str, view: Callable[..., Any]) -> Need | None:
    """Return the permission of a view; None when the view declares none."""
    found: Need | None = vars(view).get("need", _OF_LIBRARIES.get(endpoint))
    return found
