"""The limits of a sender that may use only some sagas: of an API key with limits, and of everybody with a tenant.

A saga beyond these limits gets the answer of a saga that does not exist. The database hides the sagas of other tenants
(app.store.tenants).
"""

from collections.abc import Callable, Mapping
from typing import Any

from app.access.permissions import Role, Scope, view_keeps_to_limits, view_keeps_to_tenant
from app.access.principal import principal
from app.errors import ForbiddenError, NotFoundError
from app.store import queries
from app.store.models import SagaRow


def require_within_limits(need: Scope | Role, view: Callable[..., Any], named: Mapping[str, Any]) -> None:
    """Check a request of a sender that may use only some sagas. named: the parameters of the URL.

    Raise NotFoundError for a saga beyond the limits. Raise ForbiddenError for a view that shows or changes more than
    one saga and does not keep to the limits itself.
    """
    sender = principal()
    if "saga_id" in named:
        saga = queries.find(named["saga_id"])
        if saga is None or sender.tenant not in (None, saga.tenant) or not _reaches(need, saga):
            raise NotFoundError(f"there is no saga {named['saga_id']}")
        return
    if sender.tenant is not None and not view_keeps_to_tenant(view):
        raise ForbiddenError(f"this is for all tenants, and {sender.name} belongs to the tenant {sender.tenant}")
    if need in sender.limits and not view_keeps_to_limits(view):
        raise ForbiddenError(f"this needs the scope {need} for all sagas, and {sender.name} has it for some")


def _reaches(need: Scope | Role, saga: SagaRow) -> bool:
    return isinstance(need, Role) or principal().reaches(need, saga.definition, saga.started_by)


def require_start(saga_type: str) -> None:
    """Raise ForbiddenError unless the sender may start sagas of this type."""
    if not principal().may_start(saga_type):
        raise ForbiddenError(f"this needs the scope start:{saga_type}, which {principal().name} does not have")
