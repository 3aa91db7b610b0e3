"""The permissions: roles of people, scopes of programs, and the permission that each view needs."""

from collections.abc import Callable
from enum import IntEnum, StrEnum
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])


class Role(IntEnum):
    """The role of a person. Each role includes the permissions of the roles before it.

    viewer: read. operator: act on sagas. admin: manage users and keys.
    """

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        return self.name.lower()


class Scope(StrEnum):
    """The scope of a program's API key.

    read: read sagas. start: start sagas. operate: retry, compensate and resolve sagas.
    """

    READ = "read"
    START = "start"
    OPERATE = "operate"


#: Role of a signed-in person → scopes that the person has at the API.
SCOPES = {
    Role.VIEWER: frozenset({Scope.READ}),
    Role.OPERATOR: frozenset(Scope),
    Role.ADMIN: frozenset(Scope),
}


def role_named(word: str) -> Role:
    """Return the role of this name. Raise KeyError for another word."""
    return Role[word.upper()]


class Open:
    """The permission of a view that anybody may call."""


class ByUrl:
    """The permission of a view whose URL has an unguessable token. The view itself checks the token."""


OPEN, BY_URL = Open(), ByUrl()
Need = Role | Scope | Open | ByUrl
#: Endpoint → permission, for the routes that libraries add: the static files, and /metrics.
_OF_LIBRARIES = {"static": OPEN, "prometheus_metrics": OPEN}


def needs(permission: Need) -> Callable[[View], View]:
    """Declare the permission of a view: a role for a page, a scope for the API, OPEN or BY_URL.

    Write this decorator below the route's decorator. A view without a declared permission refuses every request.
    """

    def mark(view: View) -> View:
        vars(view)["need"] = permission
        return view

    return mark


def keeps_to_limits(view: View) -> View:
    """Declare that a view itself keeps to the limits of a key, or shows nothing of any saga. It keeps to tenants, too.

    Without this declaration, a key with limits can use only views whose URL has the id of a saga.
    """
    vars(view)["keeps_to_limits"] = True
    return view


def keeps_to_tenant(view: View) -> View:
    """Declare that a view shows and changes only sagas and bulk jobs: the database hides those of other tenants.

    Without this declaration or `keeps_to_limits`, a sender with a tenant can use only views whose URL has the id of a
    saga.
    """
    vars(view)["keeps_to_tenant"] = True
    return view


def view_keeps_to_tenant(view: Callable[..., Any]) -> bool:
    return bool(vars(view).get("keeps_to_tenant")) or view_keeps_to_limits(view)


def view_keeps_to_limits(view: Callable[..., Any]) -> bool:
    return bool(vars(view).get("keeps_to_limits"))


def by_itself(view: View) -> View:
    """Declare that an open page calls a view by itself, so a request is no sign that the person is still there."""
    vars(view)["by_itself"] = True
    return view


def is_by_itself(view: Callable[..., Any]) -> bool:
    return bool(vars(view).get("by_itself"))


def need_of(endpoint: str, view: Callable[..., Any]) -> Need | None:
    """Return the permission of a view; None when the view declares none."""
    found: Need | None = vars(view).get("need", _OF_LIBRARIES.get(endpoint))
    return found
