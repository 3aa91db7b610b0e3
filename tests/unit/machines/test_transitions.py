"""Rules for the transitions of every legal table."""

from collections import Counter

from hypothesis import given

from machines.retry import PERSISTENT
from machines.step import Kind
from machines.transitions import Phase, Trigger
from tests.unit.machines.tables import (
    edges,
    entry_of,
    leaving,
    legal_tables,
    quick,
    reachable,
)

ENDS = {"DONE", "CANCELLED"}


@quick
@given(legal_tables())
def test_every_state_can_be_reached_and_can_reach_an_end(table):
    assert reachable(table, table.initial) == set(table.states)
    assert all(reachable(table, state) & ENDS for state in table.states)


@quick
@given(legal_tables())
def test_trigger_leads_from_a_state_to_only_one_other(table):
    assert (
        Counter((transition.source, transition.trigger) for transition in table.transitions).most_common(1)[0][1] == 1
    )


@quick
@given(legal_tables())
def test_a_saga_whose_calls_all_succeed_goes_through_its_steps_in_order(table):
    way = edges(table)
    state, calls = table.initial, []
    while state != table.completed:
        state = way.get((state, Trigger.BEGIN), state)
        calls.append(table.states[state].call)
        state = way[state, Trigger.SUCCEEDED]
        assert state == table.steps[len(calls) - 1].done
    assert calls == [step.call for step in table.steps]


@quick
@given(legal_tables())
def test_doing_state_is_entered_before_its_call_is_sent(table):
    for number, step in enumerate(table.steps):
        before = table.steps[number - 1].done if number else table.initial
        if step.doing:
            assert leaving(table, before) == {Trigger.BEGIN: step.doing}
            assert (table.states[before].phase, table.states[before].call) == (Phase.PASSING, None)
        assert table.states[entry_of(table, number)].call is step.call


@quick
@given(legal_tables())
def test_call_in_flight_has_a_transition_for_each_outcome(table):
    may_be_refused = {
        entry_of(table, number): step.refused for number, step in enumerate(table.steps) if step.refused is not None
    }
    for name, state in table.states.items():
        if state.call is None:
            continue
        out = leaving(table, name)
        pivot = state.phase is Phase.FORWARD and state.step is not None and state.step.kind is Kind.PIVOT
        assert set(out) - {Trigger.CANCEL, Trigger.EXPIRE} == {
            Trigger.SUCCEEDED,
            Trigger.REFUSED,
            Trigger.RETRY,
            Trigger.DEFER,
            Trigger.EXHAUSTED,
            Trigger.QUARANTINE,
        } | ({Trigger.REFUSED_IN_DOUBT} if pivot else set())
        assert out[Trigger.RETRY] == out[Trigger.DEFER] == name
        stuck = out[Trigger.QUARANTINE]
        # A refusal makes the saga stuck when it cannot go back, or when the call is a pivot in doubt.
        assert out[Trigger.REFUSED] == may_be_refused.get(name, stuck)
        assert out.get(Trigger.REFUSED_IN_DOUBT) == (stuck if pivot else None)
        # The pivot may have taken effect, so it cannot be cancelled.
        may_be_cancelled = state.phase is Phase.FORWARD and not pivot
        assert out.get(Trigger.CANCEL) == (may_be_refused.get(name) if may_be_cancelled else None)
        # When the deadline is over before a call is sent, the saga goes back, even if the call is the pivot.
        assert out.get(Trigger.EXPIRE) == (may_be_refused.get(name) if state.phase is Phase.FORWARD else None)


@quick
@given(legal_tables())
def test_transitions_from_a_call_in_flight_contain_that_call(table):
    for transition in table.transitions:
        outside = transition.trigger in (Trigger.CANCEL, Trigger.EXPIRE, Trigger.QUARANTINE)
        expected = None if outside else table.states[transition.source].call
        assert transition.call is expected


@quick
@given(legal_tables())
def test_stuck_state_is_left_by_retry_or_by_resolve(table):
    for transition in table.transitions:
        stuck = table.states[transition.dest]
        if stuck.phase is not Phase.STUCK:
            continue
        refused = (Trigger.REFUSED, Trigger.REFUSED_IN_DOUBT)
        assert transition.trigger in (Trigger.EXHAUSTED, Trigger.QUARANTINE, *refused)
        assert stuck.call is None
        out = leaving(table, stuck.name)
        assert out[Trigger.RETRY] == transition.source
        done = leaving(table, transition.source)[Trigger.SUCCEEDED]
        assert out.get(Trigger.RESOLVE) == (None if stuck.step.kind is Kind.READ else done)


@quick
@given(legal_tables())
def test_each_call_in_flight_has_its_own_stuck_state(table):
    active = [name for name, state in table.states.items() if state.call is not None]
    stuck = [leaving(table, name)[Trigger.QUARANTINE] for name in active]
    assert len(set(stuck)) == len(active)
    assert {name for name, state in table.states.items() if state.phase is Phase.STUCK} == set(stuck)


@quick
@given(legal_tables())
def test_exactly_the_stuck_states_are_left_by_a_person(table):
    for transition in table.transitions:
        by_a_person = table.states[transition.source].phase is Phase.STUCK
        assert (transition.trigger is Trigger.RESOLVE) <= by_a_person
        asked = (Trigger.RETRY, Trigger.RESOLVE, Trigger.COMPENSATE, Trigger.COMPENSATE_INCLUDING)
        assert by_a_person <= (transition.trigger in asked)


@quick
@given(legal_tables())
def test_compensated_saga_has_no_transition(table):
    assert leaving(table, table.compensated) == {}


@quick
@given(legal_tables())
def test_compensation_has_many_attempts_and_other_calls_their_own(table):
    for state in table.states.values():
        if state.call is not None:
            assert state.retry == (PERSISTENT if state.phase is Phase.UNDOING else state.step.retry)


@quick
@given(legal_tables())
def test_only_a_read_has_no_effect(table):
    for number, step in enumerate(table.steps):
        state = table.states[entry_of(table, number)]
        assert state.effectful is (step.kind is not Kind.READ)
        assert state.direction == "do"
