"""The guards of families, each with a way to remove it, and the family in which its removal is seen."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pytest import MonkeyPatch  # noqa: PT013  a short name for the parameter of every guard
from sqlalchemy import bindparam, update

from app.store import children, sagas
from app.store.database import db_now
from app.store.instance import Instance
from machines import families
from machines.families import Families
from machines.groups import Branches
from machines.outcomes import Outcome
from machines.statuses import FINISHED, Status
from tests.property import shapes
from tests.property.shapes import Nodes, Sub
from tests.property.tables import COMPENSATABLE, PIVOT, StepLine, When

LINE = StepLine(COMPENSATABLE)
TWO = (LINE, StepLine(COMPENSATABLE, attempts=1))
#: Two branches at the same time, between two other steps.
TOGETHER: Nodes = (LINE, shapes.Branches((TWO, (LINE,))), LINE)
#: Three items, of which at most one or two are at work.
EACH: Nodes = (LINE, shapes.Branches((TWO,), items=3, at_most=2), LINE)
ONE_BY_ONE: Nodes = (shapes.Branches(((LINE,),), items=3, at_most=1), LINE)
#: A group whose branches must succeed, so that a person retries it.
MUST: Nodes = (StepLine(PIVOT), shapes.Branches(((LINE,),), items=2, must=True))
#: Another saga, which the saga compensates, and one that must complete.
SUB: Nodes = (LINE, Sub(TWO), LINE)
MUST_SUB: Nodes = (StepLine(PIVOT), Sub((LINE,), must=True))
#: The pivot is another saga.
PIVOT_SUB: Nodes = (LINE, Sub((LINE, StepLine(PIVOT))))
#: Branches of which nothing is done, and an empty list before another group.
SKIPPED: Nodes = (LINE, shapes.Branches(((StepLine(COMPENSATABLE, when=When.FAILS),),), items=2), LINE)
EMPTY: Nodes = (shapes.Branches(((LINE,),), items=0), shapes.Branches(((LINE,),), items=2))
#: The ids that the items keep are a list.
KEPT: Nodes = (LINE, shapes.Branches(((StepLine(COMPENSATABLE, own_id=True),),), items=3), LINE)
KEPT_SUB: Nodes = (Sub((StepLine(COMPENSATABLE, own_id=True),)), LINE)

GUARDS: dict[str, Callable[[MonkeyPatch], None]] = {}
FAMILIES: dict[str, Nodes] = {}

_Guard = Callable[[MonkeyPatch], None]


def guard(nodes: Nodes) -> Callable[[_Guard], _Guard]:
    """Add a guard. nodes: the family in which a property fails without it."""

    def added(without: _Guard) -> _Guard:
        GUARDS[without.__name__], FAMILIES[without.__name__] = without, nodes
        return without

    return added


# The wake-ups of a parent


@guard(SUB)
def the_end_of_a_child_makes_its_parent_due(patch: MonkeyPatch) -> None:
    arrived = update(children._SAGA).where(children._SAGA.c.id == bindparam("parent"))
    patch.setattr(children, "_WAKE", arrived.values(arrived=children._SAGA.c.arrived + 1))


@guard(SUB)
def the_end_of_a_child_is_counted_at_its_parent(patch: MonkeyPatch) -> None:
    """Only make the parent due, so that a process that holds the parent misses the end."""
    woken = update(children._SAGA).where(children._SAGA.c.id == bindparam("parent"), children._WAITS)
    patch.setattr(children, "_WAKE", woken.values(due_at=db_now()))


@guard(TOGETHER)
def the_end_of_a_branch_is_counted_at_its_parent(patch: MonkeyPatch) -> None:
    nothing = update(children._SAGA).where(children._SAGA.c.id == bindparam("parent"))
    patch.setattr(children, "_ARRIVE", nothing.values(arrived=children._SAGA.c.arrived))


@guard(TOGETHER)
def the_last_branch_makes_its_parent_due(patch: MonkeyPatch) -> None:
    patch.setattr(sagas, "wake_after_last", lambda *_: None)


@guard(TOGETHER)
def a_branch_looks_for_the_others_after_its_own_write(patch: MonkeyPatch) -> None:
    wake = children.wake_parent

    def early(connection: Any, child: Instance) -> None:
        wake(connection, child)
        if children.is_quiet(child):
            children.wake_after_last(connection, child)

    patch.setattr(sagas, "wake_parent", early)
    patch.setattr(sagas, "wake_after_last", lambda *_: None)


@guard(EACH)
def the_end_of_a_limited_item_makes_its_parent_due(patch: MonkeyPatch) -> None:
    patch.setattr(children, "is_quiet", lambda child: child.status == Status.COMPLETED)
    patch.setattr(sagas, "is_quiet", lambda child: child.status == Status.COMPLETED)


@guard(TOGETHER)
def a_branch_that_goes_back_makes_its_parent_due(patch: MonkeyPatch) -> None:
    ended = property(lambda saga: saga.parent_id is not None and bool(saga.unsaved) and saga.status in FINISHED)
    patch.setattr(Instance, "ends_for_parent", ended)


@guard(SKIPPED)
def a_child_that_is_born_finished_makes_its_parent_due(patch: MonkeyPatch) -> None:
    patch.setattr(sagas, "wake_if_born_finished", lambda *_: None)


# The start of children


@guard(TOGETHER)
def a_branch_that_has_a_child_gets_no_other(patch: MonkeyPatch) -> None:
    missing = Branches.missing

    def doubling(branches: Branches, known: Any, retried: bool) -> Any:
        made = missing(branches, [], retried)
        return [replace(child, number=child.number + len(known)) for child in made]

    patch.setattr(Branches, "missing", doubling)


@guard(SUB)
def a_step_that_has_a_child_starts_no_other(patch: MonkeyPatch) -> None:
    def doubling(child: Any, known: Any, _retried: bool) -> Any:
        return (replace(child, number=len(known) + 1),)

    patch.setattr(families, "_only_child", doubling)


@guard(MUST_SUB)
def a_retry_replaces_a_child_that_is_compensated(patch: MonkeyPatch) -> None:
    only = families._only_child
    patch.setattr(families, "_only_child", lambda child, known, _retried: only(child, known, False))


@guard(MUST)
def a_retry_replaces_the_branches_that_are_compensated(patch: MonkeyPatch) -> None:
    missing = Branches.missing
    patch.setattr(Branches, "missing", lambda branches, known, _retried: missing(branches, known, False))


@guard(EACH)
def at_most_bounds_the_items_at_work(patch: MonkeyPatch) -> None:
    init = Branches.__init__

    def unlimited(branches: Branches, *given: Any) -> None:
        init(branches, *given)
        branches._group = replace(branches._group, at_most=None)

    patch.setattr(Branches, "__init__", unlimited)


@guard(ONE_BY_ONE)
def an_item_that_has_ended_makes_room(patch: MonkeyPatch) -> None:
    missing = Branches.missing
    patch.setattr(
        Branches, "missing", lambda branches, known, retried: [] if known else missing(branches, known, retried)
    )


@guard(EMPTY)
def the_next_group_of_the_same_commit_starts_its_own_children(patch: MonkeyPatch) -> None:
    patch.setattr(Families, "take", Families._taken)


# The end of the wait


@guard(KEPT)
def a_group_waits_for_all_its_branches(patch: MonkeyPatch) -> None:
    class Fewer(Branches):
        def newest(self, known: Any) -> Any:
            ended = [child for child in super().newest(known) if child.status in FINISHED]
            self.count = len(ended) or self.count
            return ended

    patch.setattr(families, "Branches", Fewer)


@guard(EACH)
def a_group_waits_for_the_items_that_are_held_back(patch: MonkeyPatch) -> None:
    class Fewer(Branches):
        def newest(self, known: Any) -> Any:
            found = super().newest(known)
            self.count = len(found) or self.count
            return found

    patch.setattr(families, "Branches", Fewer)


@guard(TOGETHER)
def a_branch_that_goes_back_ends_the_wait(patch: MonkeyPatch) -> None:
    patch.setattr(Branches, "goes_back", lambda _branches, child: child.status == Status.COMPENSATED)


@guard(TOGETHER[1:])
def a_branch_that_is_stuck_in_its_compensation_goes_back(patch: MonkeyPatch) -> None:
    patch.setattr(Branches, "goes_back", lambda _, child: child.status in (Status.COMPENSATING, Status.COMPENSATED))


@guard(TOGETHER)
def the_other_branches_are_compensated_too(patch: MonkeyPatch) -> None:
    end_wait = Instance.end_wait

    def believing(saga: Instance, outcome: Outcome, **how: Any) -> None:
        end_wait(saga, Outcome.REFUSED if outcome is Outcome.REFUSED_UNDO else outcome, **how)

    patch.setattr(Instance, "end_wait", believing)


@guard(SUB)
def a_parent_waits_for_the_end_of_its_child(patch: MonkeyPatch) -> None:
    patch.setattr(families, "FINISHED", (*FINISHED, Status.RUNNING, Status.COMPENSATING, Status.STUCK))


@guard(SUB)
def a_child_that_is_compensated_refuses_the_step(patch: MonkeyPatch) -> None:
    end_wait = Instance.end_wait

    def believing(saga: Instance, outcome: Outcome, **how: Any) -> None:
        child = saga.current.awaits_child and outcome is Outcome.REFUSED
        end_wait(saga, Outcome.SUCCEEDED if child else outcome, **how)

    patch.setattr(Instance, "end_wait", believing)


@guard(MUST)
def only_the_newest_child_of_a_branch_counts(patch: MonkeyPatch) -> None:
    def oldest(branches: Branches, known: Any) -> Any:
        return {(child.child_number - 1) % branches.count: child for child in reversed(known)}

    patch.setattr(Branches, "_by_place", oldest)


@guard(KEPT)
def results_are_in_the_order_of_the_branches(patch: MonkeyPatch) -> None:
    result = Branches.result
    patch.setattr(Branches, "result", lambda branches, replies: result(branches, list(reversed(replies))))


@guard(KEPT_SUB)
def the_step_keeps_the_replies_of_its_child(patch: MonkeyPatch) -> None:
    end_wait = Instance.end_wait
    patch.setattr(Instance, "end_wait", lambda saga, outcome, **how: end_wait(saga, outcome, **how | {"body": {}}))
