"""What a view needs of those who ask. A view that does not say is shown to nobody."""

from collections.abc import Callable
from typing import Any, TypeVar

from app.access.roles import Role, Scope

View = TypeVar("View", bound=Callable[..., Any])


class Open:
    """Nothing is needed."""


OPEN = Open()
Need = Role | Scope | Open
#: Routes that libraries bring, by endpoint: the pages' own files, and what Prometheus reads.
_OF_LIBRARIES = {"static": OPEN, "prometheus_metrics": OPEN}


def needs(what: Need) -> Callable[[View], View]:
    """Say that a page needs a role, a view of the API a scope, or nothing (OPEN). It stands below the route."""

    def mark(view: View) -> View:
        vars(view)["need"] = what
        return view

    return mark


def need_of(endpoint: str, view: Callable[..., Any]) -> Need | None:
    found: Need | None = vars(view).get("need", _OF_LIBRARIES.get(endpoint))
    return found
