"""The children of a saga: a step starts another saga as its child, waits for its end, and compensates it.

The rows of the children are the only record of them. The commit with which a saga enters the step also inserts the
child, and the last commit of a child also makes its parent due (app.store.children). So no wake-up can be lost.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from app.store.children import Children
from app.store.instance import Instance
from machines.accepting import NotAcceptedError, accept
from machines.fields import Field, FieldKind
from machines.outcomes import Outcome
from machines.progress import trigger_of
from machines.references import FillError, roots_of
from machines.registry import Registry, UnknownSagaError
from machines.statuses import FINISHED, Status
from machines.transitions import Direction, Trigger


@dataclass(frozen=True, kw_only=True)
class Families:
    """Starts children, and ends the waits of their parents."""

    children: Children
    registry: Registry

    def prepare(self, saga: Instance) -> str | None:
        """Set the child that the saga's present step starts; its next commit inserts it unless the step has one.

        Return why the child cannot be started, or None.
        """
        at = saga.current
        if saga.pending or at.undoes or saga.new_child is not None:
            return None
        assert at.step is not None
        call = at.step.call
        assert call is not None
        try:
            definition = self.registry.latest(call.participant)
            body = call.filled_body(saga.data, saga.results, roots_of(saga.id_text, at.step.name, Direction.DO))
            data = accept(Field(kind=FieldKind.OBJECT, items=definition.data), body)
        except (UnknownSagaError, FillError) as error:
            return f"saga {call.participant} cannot be started: {error}"
        except NotAcceptedError as error:
            where = ".".join(map(str, error.path))
            return f"saga {call.participant} cannot be started: its field {where} {error.problem}"
        child = Instance.new(definition, data, actor=f"saga:{saga.id_text}", clock=saga.clock)
        # Who may use the parent as "its own" may use the whole tree.
        child.parent_id, child.parent_step, child.started_by = saga.id, at.step.name, saga.started_by
        saga.new_child = child
        return None

    def refuse(self, saga: Instance, problem: str, actor: str) -> bool:
        """Refuse the saga's present step, because its child cannot be started. Return False when it has a child."""
        at = saga.current
        assert at.step is not None
        if self.children.of(saga.id, at.step.name):
            return False
        saga.end_wait(Outcome.REFUSED, reason=problem, actor=actor)
        return True

    def take(self, saga: Instance, actor: str) -> bool:
        """End the wait of the saga if its child has ended. Return False while the child has not ended."""
        at = saga.current
        assert at.step is not None
        known = self.children.of(saga.id, at.step.name)
        last = known[-1] if known else None
        if at.undoes:
            if last is not None and last.status != Status.COMPENSATED:
                return False
            saga.end_wait(Outcome.SUCCEEDED, reason=_compensated(last), actor=actor)
            return True
        if last is None or last.status not in FINISHED:
            return False
        if last.status == Status.COMPENSATED:
            saga.end_wait(Outcome.REFUSED, reason=_compensated(last), actor=actor)
        else:
            self._succeed(saga, last, actor)
        return True

    def obey(self, saga: Instance, actor: str) -> None:
        """Compensate a child whose parent goes back, unless it goes back already or is stuck in a compensation."""
        trigger = trigger_of("compensate", saga.definition, saga.state)
        if trigger is not None:
            reason = f"saga {saga.parent_id} compensates its step {saga.parent_step}"
            saga.request_move(trigger, actor=actor, then=actor, reason=reason)

    def why_not(self, saga: Instance, trigger: Trigger) -> str | None:
        """Return why a person may not make this move, because of a parent or a child; None: the move is legal."""
        at = saga.current
        if saga.parent_id is not None and saga.status == Status.COMPLETED:
            return f"it is done for saga {saga.parent_id}, which uses its result; compensate that saga"
        if at.step is None or at.step.starts is None or trigger not in (Trigger.RESOLVE, Trigger.COMPENSATE):
            return None
        # A person may supply the result of a completed child. Every other move by hand needs a child that is undone.
        enough = FINISHED if trigger is Trigger.RESOLVE and not at.undoes else (Status.COMPENSATED,)
        known = self.children.of(saga.id, at.step.name)
        if not known or known[-1].status in enough:
            return None
        child = f"saga {known[-1].id}, which its step {at.step.name} has started, is {known[-1].status}"
        return f"{child}; retry the step, or act on that saga"

    def _succeed(self, saga: Instance, child: Row[Any], actor: str) -> None:
        at, replies = saga.current, self.children.replies(child.id)
        assert at.step is not None
        assert at.step.call is not None
        kept, lacking = saga.definition.taken(at.step.name, at.step.call, replies, {}) if at.step.keeps else ({}, {})
        reason = f"saga {child.id} has completed"
        if lacking:
            lacks = ", ".join(why or name for name, why in sorted(lacking.items()))
            saga.end_wait(Outcome.IN_DOUBT, reason=f"{reason}, but its replies lack {lacks}", actor=actor)
        else:
            saga.end_wait(Outcome.SUCCEEDED, reason=reason, actor=actor, body=kept)


def _compensated(child: Row[Any] | None) -> str:
    if child is None:
        return "no saga was started"
    return f"saga {child.id} is compensated" + (f": {child.error}" if child.error else "")
