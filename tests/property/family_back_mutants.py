"""The guards of families that go back, of what people may do, and of the tables. `family_mutants.py` has the others."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pytest import MonkeyPatch  # noqa: PT013  a short name for the parameter of every guard
from sqlalchemy import update

from app.store import children, sagas
from app.store.instance import Instance
from machines import saga as definitions
from machines.families import Families
from machines.groups import Branches
from machines.outcomes import Outcome
from machines.progress import Progress
from machines.statuses import Status
from machines.transitions import Graph, Phase, Transition, Trigger
from tests.property import shapes
from tests.property.family_mutants import EACH, KEPT_SUB, LINE, MUST, PIVOT_SUB, SUB, TOGETHER, guard
from tests.property.shapes import Sub
from tests.property.tables import COMPENSATABLE, PIVOT, RETRIABLE, StepLine

# The way back


@guard(TOGETHER)
def a_saga_that_goes_back_waits_for_its_children(patch: MonkeyPatch) -> None:
    taken = Families._taken

    def hasty(given: Families, saga: Instance, actor: str) -> bool:
        if saga.current.undoes:
            saga.end_wait(Outcome.SUCCEEDED, reason="hasty", actor=actor)
            return True
        return taken(given, saga, actor)

    patch.setattr(Families, "_taken", hasty)


@guard(TOGETHER)
def a_saga_that_goes_back_asks_its_children_to(patch: MonkeyPatch) -> None:
    patch.setattr(sagas, "send_back", lambda *_: None)


@guard(TOGETHER)
def a_child_obeys_its_parent(patch: MonkeyPatch) -> None:
    patch.setattr(Families, "obey", lambda *_: None)


def _values_of_send_back() -> dict[str, Any]:
    return {str(getattr(column, "name", column)): value for column, value in children._SEND_BACK._values.items()}


def _send_back_without(patch: MonkeyPatch, *columns: str) -> None:
    values = _values_of_send_back()
    left = {name: value for name, value in values.items() if name not in columns}
    patch.setattr(
        children, "_SEND_BACK", update(children._SAGA).where(*children._SEND_BACK._where_criteria).values(left)
    )


@guard(TOGETHER)
def sending_back_fences_the_process_of_the_child(patch: MonkeyPatch) -> None:
    _send_back_without(patch, "version")


@guard(TOGETHER)
def sending_back_makes_the_child_due(patch: MonkeyPatch) -> None:
    _send_back_without(patch, "due_at")


@guard(TOGETHER)
def a_child_is_sent_back_once(patch: MonkeyPatch) -> None:
    first, second, _, last = children._SEND_BACK._where_criteria
    values = _values_of_send_back()
    patch.setattr(children, "_SEND_BACK", update(children._SAGA).where(first, second, last).values(values))


@guard(TOGETHER)
def a_child_that_is_compensated_is_left_alone(patch: MonkeyPatch) -> None:
    values = _values_of_send_back()
    where = children._SEND_BACK._where_criteria[:-1]
    patch.setattr(children, "_SEND_BACK", update(children._SAGA).where(*where).values(values))


@guard(TOGETHER)
def a_step_whose_children_run_may_have_worked(patch: MonkeyPatch) -> None:
    """A cancel, and the deadline, do not undo a step that waits for its children."""
    doubted = property(lambda saga: saga.in_doubt or saga.current.awaits_answer)
    patch.setattr(Progress, "may_have_worked", doubted)


@guard(EACH)
def no_item_starts_beside_one_that_goes_back(patch: MonkeyPatch) -> None:
    missing = Branches.missing

    def blind(branches: Branches, known: Any, retried: bool) -> Any:
        patch.setattr(branches, "goes_back", lambda _child: False)
        return missing(branches, known, retried)

    patch.setattr(Branches, "missing", blind)


# What a person may do


@guard(SUB)
def a_person_does_not_undo_a_completed_child(patch: MonkeyPatch) -> None:
    why_not = Families.why_not

    def careless(given: Families, saga: Instance, trigger: Trigger) -> str | None:
        return None if saga.parent_id is not None and saga.status == Status.COMPLETED else why_not(given, saga, trigger)

    patch.setattr(Families, "why_not", careless)


@guard(MUST)
def a_person_does_not_move_a_parent_past_its_children(patch: MonkeyPatch) -> None:
    why_not = Families.why_not

    def careless(given: Families, saga: Instance, trigger: Trigger) -> str | None:
        return why_not(given, saga, trigger) if saga.parent_id is not None and saga.status == Status.COMPLETED else None

    patch.setattr(Families, "why_not", careless)


@guard(KEPT_SUB)
def a_saga_that_was_not_started_starts_no_child(patch: MonkeyPatch) -> None:
    prepare = Families.prepare

    def eager(given: Families, saga: Instance) -> str | None:
        saga.pending, pending = False, saga.pending
        try:
            return prepare(given, saga)
        finally:
            saga.pending = pending

    patch.setattr(Families, "prepare", eager)


# The tables


def _with(patch: MonkeyPatch, more: Callable[[Graph], list[Transition]]) -> None:
    derive = definitions.derive

    def derived(table: Any) -> Graph:
        graph = derive(table)
        return replace(graph, transitions=(*graph.transitions, *more(graph)))

    patch.setattr(definitions, "derive", derived)


@guard(PIVOT_SUB)
def no_person_ends_the_wait_for_a_child_with_the_pivot(patch: MonkeyPatch) -> None:
    _with(patch, lambda graph: _leaving_the_pivot(graph, Trigger.CANCEL))


@guard(PIVOT_SUB)
def no_deadline_ends_the_wait_for_a_child_with_the_pivot(patch: MonkeyPatch) -> None:
    _with(patch, lambda graph: _leaving_the_pivot(graph, Trigger.EXPIRE))


def _leaving_the_pivot(graph: Graph, trigger: Trigger) -> list[Transition]:
    states = [at for at in graph.states.values() if at.phase is Phase.WAITING and at.awaits_child and at.step]
    return [
        Transition(source=at.name, trigger=trigger, dest=at.step.refused or "")
        for at in states
        if at.step and at.step.kind is PIVOT
    ]


@guard((LINE, shapes.Branches(((StepLine(PIVOT),), (LINE,)))))
def a_group_that_can_be_refused_has_no_pivot(patch: MonkeyPatch) -> None:
    patch.setattr("machines.check.group_problems", lambda _table: [])


@guard((LINE, shapes.Branches(((LINE, StepLine(RETRIABLE)), (LINE,)))))
def a_group_that_can_be_refused_has_no_step_that_must_succeed(patch: MonkeyPatch) -> None:
    patch.setattr("machines.check.group_problems", lambda _table: [])


@guard((LINE, Sub((LINE, StepLine(PIVOT)))))
def a_saga_with_a_pivot_is_no_compensatable_step(patch: MonkeyPatch) -> None:
    patch.setattr("machines.check_children._without_return", lambda _child: None)
    patch.setattr(Sub, "kind", COMPENSATABLE)
