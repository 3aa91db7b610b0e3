import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transitions import EventData, Machine, MachineError

from machines.checkout import CHECKOUT
from machines.machine import SagaMachine
from machines.transitions import NOWHERE, Phase, Trigger
from tests.unit.machines.tables import edges, legal_tables, quick


class RecordingMachine(SagaMachine):
    def __init__(self, *arguments, **columns):
        super().__init__(*arguments, **columns)
        self.seen: list[EventData] = []

    def moved(self, event):
        self.seen.append(event)


def test_a_running_saga_is_a_transitions_machine():
    assert isinstance(SagaMachine(CHECKOUT), Machine)


@quick
@given(legal_tables())
def test_saga_has_exactly_the_transitions_of_its_table(table):
    machine = SagaMachine(table)
    assert set(machine.states) == {NOWHERE, *table.states}
    for trigger in Trigger:
        found = machine.get_transitions(trigger) if trigger in machine.events else []
        transitions = [
            (transition.source, transition.dest)
            for transition in (table.start, *table.transitions)
            if transition.trigger is trigger
        ]
        assert sorted((edge.source, edge.dest) for edge in found) == sorted(transitions)
    assert len(machine.get_transitions()) == 1 + len(table.transitions)


def test_saga_has_no_trigger_that_the_table_does_not_name():
    assert set(SagaMachine(CHECKOUT).events) == {Trigger.START} | {
        transition.trigger for transition in CHECKOUT.transitions
    }


def test_saga_has_no_trigger_that_jumps_to_a_state():
    machine = SagaMachine(CHECKOUT)
    assert not [name for name in [*dir(machine), *machine.events] if name.startswith("to_")]


def test_saga_starts_in_the_initial_or_the_stored_state():
    assert SagaMachine(CHECKOUT).state == "INITIEE"
    assert SagaMachine(CHECKOUT, "STOCK_RESERVE").state == "STOCK_RESERVE"


def test_two_sagas_of_one_definition_have_separate_states():
    one, other = RecordingMachine(CHECKOUT), RecordingMachine(CHECKOUT)
    one.fire(Trigger.SUCCEEDED)
    assert (one.state, other.state, SagaMachine(CHECKOUT).state) == ("PANIER_RECUPERE", "INITIEE", "INITIEE")
    assert (len(one.seen), len(other.seen)) == (1, 0)


def test_machine_parts_are_built_once_per_definition():
    one, other = SagaMachine(CHECKOUT), SagaMachine(CHECKOUT)
    assert one.get_state("INITIEE") is other.get_state("INITIEE")
    assert one.get_transitions()[0] is other.get_transitions()[0]


def test_unreferenced_saga_is_garbage_collected():
    machine = SagaMachine(CHECKOUT)
    machine.fire(Trigger.SUCCEEDED)
    forgotten = weakref.ref(machine)
    del machine
    gc.collect()
    assert forgotten() is None


@quick
@given(legal_tables(), st.data())
def test_saga_makes_only_the_transitions_of_its_table(table, data):
    machine, way = RecordingMachine(table), edges(table)
    for trigger in data.draw(st.lists(st.sampled_from(sorted(machine.events)), max_size=12)):
        before, seen = machine.state, len(machine.seen)
        if (before, trigger) in way:
            machine.fire(trigger)
            assert (machine.state, len(machine.seen)) == (way[before, trigger], seen + 1)
        else:
            with pytest.raises(MachineError):
                machine.fire(trigger)
            assert (machine.state, len(machine.seen)) == (before, seen)


@quick
@given(legal_tables())
def test_may_methods_agree_with_the_transitions_of_the_state(table):
    for state in table.states:
        machine = SagaMachine(table, state)
        assert {trigger for trigger in Trigger if machine.may(trigger)} == {
            trigger for source, trigger in edges(table) if source == state
        }


def test_refused_move_names_trigger_and_state():
    with pytest.raises(MachineError, match=r"resolve.*INITIEE"):
        SagaMachine(CHECKOUT).fire(Trigger.RESOLVE)


def test_callback_gets_each_move_once_with_transition_and_facts():
    machine = RecordingMachine(CHECKOUT)
    machine.fire(Trigger.RETRY, attempt=1)
    machine.fire(Trigger.SUCCEEDED, attempt=2, actor="me")
    moves = [(e.event.name, e.transition.source, e.transition.dest, e.kwargs) for e in machine.seen]
    assert moves == [
        ("retry", "INITIEE", "INITIEE", {"attempt": 1}),
        ("succeeded", "INITIEE", "PANIER_RECUPERE", {"attempt": 2, "actor": "me"}),
    ]


def test_move_is_made_although_the_callback_raises():
    class FailingMachine(SagaMachine):
        def moved(self, event):
            raise OSError(event.event.name)

    machine = FailingMachine(CHECKOUT)
    with pytest.raises(OSError, match="succeeded"):
        machine.fire(Trigger.SUCCEEDED)
    assert machine.state == "PANIER_RECUPERE"


def test_saga_knows_phase_step_and_call_of_its_state():
    machine = SagaMachine(CHECKOUT)
    assert (machine.current.phase, machine.current.step.name, machine.current.call.participant) == (
        Phase.FORWARD,
        "lire_panier",
        "panier",
    )
    assert machine.definition is CHECKOUT


def test_start_is_an_ordinary_transition_of_the_table():
    saga = SagaMachine(CHECKOUT, NOWHERE)
    assert [trigger for trigger in Trigger if saga.may(trigger)] == [Trigger.START]
    saga.fire(Trigger.START)
    assert saga.state == CHECKOUT.initial
    assert not saga.may(Trigger.START)
