"""The limits of an API key that has a scope only for some sagas.

A saga beyond these limits gets the answer of a saga that does not exist.
"""

from collections.abc import Callable, Mapping
from typing import Any

from app.access.permissions import Scope, view_keeps_to_limits
from app.access.principal import principal
from app.errors import ForbiddenError, NotFoundError
from app.store import queries


def require_within_limits(scope: Scope, view: Callable[..., Any], named: Mapping[str, Any]) -> None:
    """Check a request of a key that has the scope of the view only for some sagas. named: the parameters of the URL.

    Raise NotFoundError for a saga beyond the limits. Raise ForbiddenError for a view that shows or changes more than
    one saga and does not keep to the limits itself.
    """
    if "saga_id" in named:
        saga = queries.find(named["saga_id"])
        if saga is None or not principal().reaches(scope, saga.definition, saga.started_by):
            raise NotFoundError(f"there is no saga {named['saga_id']}")
    elif not view_keeps_to_limits(view):
        raise ForbiddenError(f"this needs the scope {scope} for all sagas, and {principal().name} has it for some")


def require_start(saga_type: str) -> None:
    """Raise ForbiddenError unless the sender may start sagas of this type."""
    if not principal().may_start(saga_type):
        raise ForbiddenError(f"this needs the scope start:{saga_type}, which {principal().name} does not have")
