"""Defects that the random search has found, each as its shortest sequence of events."""

from machines.transitions import Trigger
from tests.property.chaos import Chaos
from tests.property.participant import Fault
from tests.property.process import CONFIG
from tests.property.tables import COMPENSATABLE, PIVOT, READ, RETRIABLE, Line
from tests.property.world import Happening


def begun(chaos, lines: list[Line], *faults: tuple[int, Fault, int]) -> Chaos:
    state = chaos()
    state.begin(lines=tuple(lines), faults=list(faults), happenings=[])
    return state


def ends_well(state: Chaos) -> None:
    state.the_properties_hold()
    state.teardown()


def asked(state: Chaos, trigger: Trigger) -> None:
    (saga,) = state.world.sagas()
    state.world.ask(saga.id, trigger)


def stands(state: Chaos) -> str:
    (saga,) = state.world.sagas()
    return saga.state


def test_cancel_undoes_the_call_of_a_new_owner_in_flight(chaos):
    state = begun(chaos, [Line(COMPENSATABLE)], (0, Fault.UNREACHABLE, 1))
    state.recover(faults=[], happenings=[(1, Happening.CALLED_OFF)])
    ends_well(state)


def test_cancel_undoes_what_a_dead_owner_may_have_done(chaos):
    state = begun(chaos, [Line(COMPENSATABLE)], (0, Fault.UNREACHABLE, 1))
    state.recover(faults=[], happenings=[(1, Happening.CRASH)])
    asked(state, Trigger.CANCEL)
    ends_well(state)


def test_deadline_does_not_compensate_a_pivot_that_may_have_been_sent(chaos):
    state = begun(chaos, [Line(COMPENSATABLE), Line(PIVOT)], (1, Fault.UNREACHABLE, 1))
    state.recover(faults=[], happenings=[(1, Happening.CRASH)])
    state.world.pass_deadlines()
    ends_well(state)


def test_resolve_leads_into_the_next_doing_state(chaos):
    state = begun(chaos, [Line(PIVOT, attempts=1), Line(RETRIABLE, doing=True)], (0, Fault.LOSES_REQUEST, 1))
    asked(state, Trigger.RESOLVE)
    ends_well(state)


def test_saga_that_has_ended_is_never_quarantined(chaos):
    state = begun(chaos, [Line(COMPENSATABLE)], (0, Fault.UNREACHABLE, 1))
    state.world.happenings.extend([Happening.NOTHING, Happening.CRASH])
    asked(state, Trigger.CANCEL)
    for _ in range(CONFIG.max_claims):
        state.recover(faults=[], happenings=[(0, Happening.CRASH)])
    ends_well(state)


def test_read_after_a_step_resolved_by_hand_continues(chaos):
    lines = [Line(PIVOT), Line(RETRIABLE, attempts=1), Line(READ, attempts=1, asks=1)]
    state = begun(chaos, lines, (1, Fault.LOSES_REQUEST, 1))
    asked(state, Trigger.RESOLVE)
    ends_well(state)


def test_pivot_that_refuses_a_repeat_is_not_undone(chaos):
    state = begun(chaos, [Line(COMPENSATABLE), Line(PIVOT)], (1, Fault.LOSES_REPLY, 1), (0, Fault.ALREADY, 1))
    state.recover(faults=[], happenings=[])
    assert stands(state) == "STUCK_B"
    ends_well(state)
