"""The role that a signal needs."""

from app.access.permissions import Role, Scope, role_named
from app.access.principal import ANYBODY, Principal
from app.errors import ForbiddenError
from app.store.models import SagaRow
from machines.step import Step


def require_role(step: Step, sender: Principal, saga: SagaRow) -> None:
    """Raise ForbiddenError unless the sender may send the signal that the step waits for.

    A program has no role. Its scope `operate` for the saga counts as the role operator.
    """
    role = step.waits.role if step.waits else None
    if role is None or sender == ANYBODY or sender.has(role_named(role)):
        return
    if role == Role.OPERATOR.word and sender.reaches(Scope.OPERATE, saga.definition, saga.started_by):
        return
    raise ForbiddenError(f"the step {step.name} needs the role {role}")
