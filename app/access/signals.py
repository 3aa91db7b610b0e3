"""The role that a signal needs."""

from app.access.permissions import Role, Scope, role_named
from app.access.principal import ANYBODY, Principal
from app.errors import ForbiddenError
from machines.step import Step


def require_role(step: Step, sender: Principal) -> None:
    """Raise ForbiddenError unless the sender may send the signal that the step waits for.

    A program has no role. Its scope `operate` counts as the role operator.
    """
    role = step.waits.role if step.waits else None
    if role is None or sender == ANYBODY or sender.has(role_named(role)):
        return
    if role == Role.OPERATOR.word and Scope.OPERATE in sender.scopes:
        return
    raise ForbiddenError(f"the step {step.name} needs the role {role}")
