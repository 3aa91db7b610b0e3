"""The children of a saga: a step starts other sagas as its children, waits for their ends, and compensates them.

The rows of the children are the only record of them. The commit with which a saga enters the step also inserts the
children, and the last commit of a child also makes its parent due (app.store.children). So no wake-up can be lost.

`app.engine.engine` runs families over a database; `machines.testing` runs them in memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Any, Protocol, TypeVar
from uuid import UUID

from machines.accepting import NotAcceptedError, accept
from machines.fields import Field, FieldKind
from machines.groups import Branches, Child, NewChild
from machines.history import BRANCH
from machines.loop import Loop, RunEnd
from machines.outcomes import Outcome
from machines.progress import Progress, trigger_of
from machines.references import FillError, roots_of
from machines.registry import Registry, UnknownSagaError
from machines.running import RunningSaga
from machines.statuses import FINISHED, Status
from machines.transitions import Direction, Phase, State, Trigger


class KeptChildren(Protocol):
    """What is stored of the children of sagas."""

    def of(self, parent: UUID, step: str, /) -> Sequence[Child]:
        """Return the children that a step of a saga has started, in the order of their numbers."""

    def replies(self, children: Sequence[UUID], /) -> Mapping[UUID, Mapping[str, Any]]:
        """Return for each child the reply of each of its steps that succeeded."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What is stored of a saga's place among parents and children."""

    id: UUID
    parent_id: UUID | None
    status: str


@dataclass(frozen=True, kw_only=True)
class Families:
    """Starts children, and ends the waits of their parents."""

    children: KeptChildren
    registry: Registry

    def prepare(self, saga: RunningSaga) -> str | None:
        """Set how the saga's next commit finds the children that its present step still has to start.

        Return why they cannot be started, or None.
        """
        at = saga.current
        if saga.pending or at.undoes or saga.missing_children is not None:
            return None
        try:
            if at.step is not None and at.step.group is not None:
                saga.missing_children = Branches(self.registry, saga).missing
            else:
                saga.missing_children = partial(_only_child, _sub(self.registry, saga, saga.id_text))
        except (UnknownSagaError, FillError) as error:
            return f"saga {at.step and at.step.starts} cannot be started: {error}"
        except NotAcceptedError as error:
            where = ".".join(map(str, error.path))
            return f"saga {at.step and at.step.starts} cannot be started: its field {where} {error.problem}"
        return None

    def refuse(self, saga: RunningSaga, problem: str, actor: str) -> bool:
        """Refuse the saga's present step, because its child cannot be started. Return False when it has a child."""
        at = saga.current
        assert at.step is not None
        if self.children.of(saga.id, at.step.name):
            return False
        saga.end_wait(Outcome.REFUSED, reason=problem, actor=actor)
        saga.missing_children = None
        return True

    def take(self, saga: RunningSaga, actor: str) -> bool:
        """End the wait of the saga if its children have ended. Return False while it must wait for one."""
        if not self._taken(saga, actor):
            return False
        saga.missing_children = None  # the next step may be another group, and be entered in the same commit
        return True

    def _taken(self, saga: RunningSaga, actor: str) -> bool:
        at = saga.current
        assert at.step is not None
        known = self.children.of(saga.id, at.step.name)
        if at.undoes:
            if any(child.status != Status.COMPENSATED for child in known):
                return False
            saga.end_wait(Outcome.SUCCEEDED, reason=_compensated(known[-1] if known else None), actor=actor)
            return True
        if at.step.group is not None:
            return self._take_branches(saga, known, actor)
        last = known[-1] if known else None
        if last is None or last.status not in FINISHED:
            return False
        if last.status == Status.COMPENSATED:
            saga.end_wait(Outcome.REFUSED, reason=_compensated(last), actor=actor)
        else:
            self._succeed(saga, last, actor)
        return True

    def _take_branches(self, saga: RunningSaga, known: Sequence[Child], actor: str) -> bool:
        """End the wait for a group: one of its branches goes back, or all of them have completed.

        The other branches may have done something, so the saga compensates them, too.
        """
        branches = Branches(self.registry, saga)
        newest = branches.newest(known)
        if failed := next((child for child in newest if branches.goes_back(child)), None):
            words = f": {failed.error}" if failed.error else ""
            saga.end_wait(Outcome.REFUSED_UNDO, reason=f"{BRANCH}{branches.name(failed)} goes back{words}", actor=actor)
            return True
        if len(newest) < branches.count or any(child.status != Status.COMPLETED for child in newest):
            return False
        replies = self.children.replies([child.id for child in newest])
        body = branches.result([replies[child.id] for child in newest])
        saga.end_wait(Outcome.SUCCEEDED, reason=f"{branches.count} branches are done", actor=actor, body=body)
        return True

    def obey(self, saga: RunningSaga, actor: str) -> None:
        """Compensate a child whose parent goes back, unless it goes back already or is stuck in a compensation."""
        trigger = trigger_of("compensate", saga.definition, saga.state)
        if trigger is not None:
            reason = f"saga {saga.parent_id} compensates its step {saga.parent_step}"
            saga.request_move(trigger, actor=actor, then=actor, reason=reason)

    def awaited(self, saga_id: UUID, at: State) -> Child | None:
        """Return the saga that a saga in this state waits for: a stuck one below it, or a child that has not ended."""
        if not at.awaits_child or at.step is None:
            return None
        unfinished = [child for child in self.children.of(saga_id, at.step.name) if child.status not in FINISHED]
        if stuck := next((child for child in unfinished if child.status == Status.STUCK), None):
            return stuck
        for child in unfinished:
            try:
                table = self.registry.get(child.definition, child.definition_version)
            except UnknownSagaError:
                continue
            below = self.awaited(child.id, table.states[child.state]) if child.state in table.states else None
            if below is not None and below.status == Status.STUCK:
                return below
        return unfinished[0] if unfinished else None

    def why_waits(self, saga_id: UUID, at: State) -> str | None:
        """Return that a saga in this state waits for another one, and which; None: it does not."""
        child = self.awaited(saga_id, at)
        if child is None:
            return None
        return f"it waits for saga {child.id} ({child.definition}), which is {child.status} in {child.state}; act on it"

    def why_not(self, saga: RunningSaga, trigger: Trigger) -> str | None:
        """Return why a person may not make this move, because of a parent or a child; None: the move is legal."""
        return self.why_not_in(saga, Place(id=saga.id, parent_id=saga.parent_id, status=saga.status), trigger)

    def why_not_in(self, saga: Progress, place: Place, trigger: Trigger) -> str | None:
        """Do what `why_not` does, for a saga that no process runs."""
        at = saga.current
        if place.parent_id is not None and place.status == Status.COMPLETED:
            return f"it is done for saga {place.parent_id}, which uses its result; compensate that saga"
        if at.step is None or at.step.starts is None or trigger not in (Trigger.RESOLVE, Trigger.COMPENSATE):
            return None
        # A person may supply the result of a completed child. Every other move by hand needs a child that is undone.
        enough = FINISHED if trigger is Trigger.RESOLVE and not at.undoes else (Status.COMPENSATED,)
        known = self.children.of(place.id, at.step.name)
        newest = known[-1:] if at.step.group is None or not known else Branches(self.registry, saga).newest(known)
        if (found := next((child for child in newest if child.status not in enough), None)) is None:
            return None
        child = f"saga {found.id}, which its step {at.step.name} has started, is {found.status}"
        return f"{child}; retry the step, or act on that saga"

    def known_results(self, saga: Progress, saga_id: UUID) -> dict[str, Any]:
        """Return what the completed branches of a group keep that is stuck, as a person's reply names it.

        Empty for every other saga.
        """
        at = saga.current
        if at.phase is not Phase.STUCK or at.undoes or at.step is None or at.step.group is None:
            return {}
        try:
            branches = Branches(self.registry, saga)
        except FillError:  # the saga is stuck because of this list
            return {}
        newest = branches.newest(self.children.of(saga_id, at.step.name))
        done = [child for child in newest if child.status == Status.COMPLETED]
        return branches.known_results(done, self.children.replies([child.id for child in done])) if done else {}

    def _succeed(self, saga: RunningSaga, child: Child, actor: str) -> None:
        at, replies = saga.current, self.children.replies([child.id])[child.id]
        assert at.step is not None
        assert at.step.call is not None
        kept, lacking = saga.definition.taken(at.step.name, at.step.call, replies, {}) if at.step.keeps else ({}, {})
        reason = f"saga {child.id} has completed"
        if lacking:
            lacks = ", ".join(why or name for name, why in sorted(lacking.items()))
            saga.end_wait(Outcome.IN_DOUBT, reason=f"{reason}, but its replies lack {lacks}", actor=actor)
        else:
            saga.end_wait(Outcome.SUCCEEDED, reason=reason, actor=actor, body=kept)


def to_start(registry: Registry, saga: Progress, saga_id: str, known: Sequence[Child]) -> Sequence[NewChild]:
    """Return the children that the saga's present step will start, also after a retry. For previews.

    known: the children that the step has, in the order of their numbers. Raise FillError, NotAcceptedError or
    UnknownSagaError when they cannot be started, or when a reply to come decides about them.
    """
    if saga.current.step is not None and saga.current.step.group is not None:
        return Branches(registry, saga).all_missing(known)
    return _only_child(_sub(registry, saga, saga_id), known, retried=True)


def _sub(registry: Registry, saga: Progress, saga_id: str) -> NewChild:
    """Return the child of a step that starts another saga."""
    step = saga.current.step
    assert step is not None
    call = step.call
    assert call is not None
    definition = registry.latest(call.participant)
    body = call.filled_body(saga.data, saga.results, roots_of(saga_id, step.name, Direction.DO))
    data = accept(Field(kind=FieldKind.OBJECT, items=definition.data), body)
    return NewChild(definition=definition, data=data, number=1)


def _only_child(child: NewChild, known: Sequence[Child], retried: bool) -> Sequence[NewChild]:
    """Return the child of a step that starts another saga, unless the step has one."""
    if known and not (retried and known[-1].status == Status.COMPENSATED):
        return ()
    return (replace(child, number=len(known) + 1),)


def _compensated(child: Child | None) -> str:
    if child is None:
        return "no saga was started"
    return f"saga {child.id} is compensated" + (f": {child.error}" if child.error else "")


_S = TypeVar("_S", bound=RunningSaga)


class FamilyLoop(Loop[_S]):
    """The loop of sagas that may have a parent or children."""

    #: Starts the children of sagas, and ends the waits of their parents.
    families: Families

    def run(self, saga: _S, max_sleep_s: float, until: float = inf) -> RunEnd:
        if saga.goes_back:
            self.families.obey(saga, self.actor)
        return super().run(saga, max_sleep_s, until)

    def take_arrival(self, saga: _S) -> bool:
        if saga.current.awaits_child:
            return self.families.take(saga, self.actor)
        return super().take_arrival(saga)

    def _end_wait_for_child(self, saga: _S) -> bool:
        problem = self.families.prepare(saga)
        if problem is not None and self.families.refuse(saga, problem, self.actor):
            return True
        at = saga.current
        # A child that the next commit inserts has not ended. An empty group has no child to wait for.
        waits_for_new = bool(saga.unsaved) and not at.undoes and not (at.step and at.step.group)
        return not waits_for_new and self.families.take(saga, self.actor)
