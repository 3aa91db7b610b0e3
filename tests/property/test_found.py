"""Defects that the random tests have found, each as the shortest sequence of events that shows the defect.

The last tests are of events that the random tests draw too rarely to find a missing guard.
"""

import pytest

from machines.transitions import Trigger
from tests.property import wait_mutants
from tests.property.chaos import Chaos
from tests.property.participant import Fault
from tests.property.process import CONFIG
from tests.property.tables import COMPENSATABLE, PIVOT, READ, RETRIABLE, WAIT, StepLine, When
from tests.property.world import Incident


def started(chaos, lines: list[StepLine], *faults: tuple[int, Fault, int]) -> Chaos:
    state = chaos()
    state.begin(lines=tuple(lines), faults=list(faults), incidents=[])
    return state


def ends_well(state: Chaos) -> None:
    state.the_properties_hold()
    state.teardown()


def requested(state: Chaos, trigger: Trigger) -> None:
    (saga,) = state.world.sagas()
    state.world.ask(saga.id, trigger)


def state_of(state: Chaos) -> str:
    (saga,) = state.world.sagas()
    return saga.state


def test_cancel_undoes_the_call_of_a_new_owner_in_flight(chaos):
    state = started(chaos, [StepLine(COMPENSATABLE)], (0, Fault.UNREACHABLE, 1))
    state.recover(faults=[], incidents=[(1, Incident.CALLED_OFF)])
    ends_well(state)


def test_cancel_undoes_what_a_dead_owner_may_have_done(chaos):
    state = started(chaos, [StepLine(COMPENSATABLE)], (0, Fault.UNREACHABLE, 1))
    state.recover(faults=[], incidents=[(1, Incident.CRASH)])
    requested(state, Trigger.CANCEL)
    ends_well(state)


def test_deadline_does_not_compensate_a_pivot_that_may_have_been_sent(chaos):
    state = started(chaos, [StepLine(COMPENSATABLE), StepLine(PIVOT)], (1, Fault.UNREACHABLE, 1))
    state.recover(faults=[], incidents=[(1, Incident.CRASH)])
    state.world.pass_deadlines()
    ends_well(state)


def test_resolve_leads_into_the_next_doing_state(chaos):
    state = started(chaos, [StepLine(PIVOT, attempts=1), StepLine(RETRIABLE, doing=True)], (0, Fault.LOSES_REQUEST, 1))
    requested(state, Trigger.RESOLVE)
    ends_well(state)


def test_saga_that_has_ended_is_never_quarantined(chaos):
    state = started(chaos, [StepLine(COMPENSATABLE)], (0, Fault.UNREACHABLE, 1))
    state.world.incidents.extend([Incident.NOTHING, Incident.CRASH])
    requested(state, Trigger.CANCEL)
    for _ in range(CONFIG.max_claims):
        state.recover(faults=[], incidents=[(0, Incident.CRASH)])
    ends_well(state)


def test_read_after_a_step_resolved_by_hand_continues(chaos):
    lines = [StepLine(PIVOT), StepLine(RETRIABLE, attempts=1), StepLine(READ, attempts=1, asks=1)]
    state = started(chaos, lines, (1, Fault.LOSES_REQUEST, 1))
    requested(state, Trigger.RESOLVE)
    ends_well(state)


def test_pivot_that_refuses_a_repeat_is_not_undone(chaos):
    state = started(chaos, [StepLine(COMPENSATABLE), StepLine(PIVOT)], (1, Fault.LOSES_REPLY, 1), (0, Fault.ALREADY, 1))
    state.recover(faults=[], incidents=[])
    assert state_of(state) == "STUCK_B"
    ends_well(state)


def test_cancel_comes_after_every_signal_that_came_before(chaos):
    state = started(chaos, [StepLine(READ), StepLine(WAIT), StepLine(WAIT), StepLine(COMPENSATABLE)])
    (saga,) = state.world.sagas()
    state.world.signal(saga.id, "c")
    state.world.signal(saga.id, "b")
    state.world.operate("compensate", saga.id, wait_s=0.0)
    assert [move.source for move in state.world.journal(saga.id) if move.trigger == "cancel"] == ["C_DONE"]
    ends_well(state)


def test_summary_names_a_skipped_read_too(chaos):
    # The name of the read, f, is the only name of a step that is no letter of the sentence.
    lines = [StepLine(READ) for _ in range(3)]
    skipped = [StepLine(RETRIABLE, when=When.FAILS), StepLine(RETRIABLE), StepLine(READ, when=When.FAILS)]
    ends_well(started(chaos, [*lines, *skipped]))


def answer_meets_the_end_of_its_wait(chaos) -> Chaos:
    """Let the answer to an accepted call come just before the commit that would end the wait for it."""
    lines = [StepLine(COMPENSATABLE, later="callback"), StepLine(PIVOT)]
    state = started(chaos, lines, (0, Fault.ACCEPTS, 1))
    state.world.end_waits()
    state.recover(faults=[], incidents=[(0, Incident.ANSWERED)])
    return state


def test_answer_that_meets_the_end_of_its_wait_counts(chaos):
    state = answer_meets_the_end_of_its_wait(chaos)
    ends_well(state)
    assert state_of(state) == "DONE"


def test_answer_that_meets_the_end_of_its_wait_is_lost_without_its_guard(chaos, monkeypatch):
    wait_mutants.a_signal_fences_the_process_of_a_waiting_saga(monkeypatch)
    with pytest.raises(AssertionError, match="not the answer's"):
        answer_meets_the_end_of_its_wait(chaos).the_properties_hold()
