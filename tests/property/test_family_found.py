"""Events of families that the random tests draw too rarely, and a defect that the random tests have found."""

from collections.abc import Callable

import pytest

from machines.transitions import Trigger
from tests.property import family_mutants
from tests.property.family_chaos import FamilyChaos
from tests.property.family_mutants import MUST, SKIPPED, TOGETHER
from tests.property.family_world import FamilyIncident
from tests.property.participant import Fault
from tests.property.shapes import Nodes
from tests.property.tables import COMPENSATABLE, PIVOT, StepLine


def started(family_chaos: Callable[[], FamilyChaos], nodes: Nodes, *faults: tuple[int, Fault, int]) -> FamilyChaos:
    state = family_chaos()
    state.begin(nodes=nodes, create=1, faults=list(faults), incidents=[])
    return state


def ends_well(state: FamilyChaos) -> None:
    state.the_properties_hold()
    state.teardown()


def test_parent_of_branches_that_are_all_skipped_goes_on(family_chaos):
    ends_well(started(family_chaos, SKIPPED))


def branches_end_while_their_parent_looks(family_chaos) -> FamilyChaos:
    """Let all branches end after their parent has read them, and before it commits that it waits on."""
    state = started(family_chaos, TOGETHER)
    state.look_alone(which=0, faults=[], first=FamilyIncident.OTHERS_RUN)
    return state


def test_end_of_the_last_branch_is_not_missed_by_a_parent_that_looks(family_chaos):
    ends_well(branches_end_while_their_parent_looks(family_chaos))


def test_end_of_the_last_branch_is_missed_without_its_guard(family_chaos, monkeypatch):
    family_mutants.the_end_of_a_branch_is_counted_at_its_parent(monkeypatch)
    with pytest.raises(AssertionError, match="all have completed"):
        branches_end_while_their_parent_looks(family_chaos).the_properties_hold()


def a_branch_is_replaced(family_chaos) -> FamilyChaos:
    """Let a branch be refused, and a person retry the step of its parent."""
    state = started(family_chaos, MUST, (1, Fault.REFUSES, 1))
    for _ in range(3):
        state.recover(faults=[], incidents=[])
    parent = state.world.sagas()[0]
    assert parent.status == "stuck"
    state.world.ask(parent.id, Trigger.RETRY)
    for _ in range(3):
        state.recover(faults=[], incidents=[])
    return state


def test_branch_that_was_replaced_counts_no_more(family_chaos):
    state = a_branch_is_replaced(family_chaos)
    assert {saga.status for saga in state.world.sagas()[:1]} == {"completed"}
    ends_well(state)


def test_branch_that_was_replaced_still_counts_without_its_guard(family_chaos, monkeypatch):
    family_mutants.only_the_newest_child_of_a_branch_counts(monkeypatch)
    state = a_branch_is_replaced(family_chaos)
    assert {saga.status for saga in state.world.sagas()[:1]} == {"stuck"}


def test_pivot_that_an_operator_gave_up_may_take_effect_after_the_undo(family_chaos):
    state = started(family_chaos, (StepLine(COMPENSATABLE), StepLine(PIVOT, attempts=1), MUST[1]), (1, Fault.DELAYS, 1))
    sale = state.world.sagas()[0]
    assert (sale.status, sale.state) == ("stuck", "STUCK_B")
    state.world.operate("compensate", sale.id)
    state.world.participant.deliver(0)
    assert [(each.step, each.direction) for each in state.world.participant.effects] == [
        ("a", "do"),
        ("a", "undo"),
        ("b", "do"),
    ]
    ends_well(state)
