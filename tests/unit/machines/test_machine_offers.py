"""Each public attribute of `transitions.Machine` affects only one saga, or raises an error."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from transitions import EventData, Machine, MachineError

from app.store.instance import Instance
from machines.checkout import CHECKOUT
from machines.commande import COMMANDE
from machines.machine import SagaMachine
from machines.transitions import NOWHERE, Trigger
from tests.unit.machines.tables import edges


def _data(saga):
    return EventData(saga.get_state(saga.state), saga.events["succeeded"], saga, saga, (), {})


#: Attributes that only read. Each function checks the result for a checkout that has just started.
READS = {
    "after_state_change": lambda saga: saga.after_state_change == ["moved"],
    "before_state_change": lambda saga: saga.before_state_change == [],
    "prepare_event": lambda saga: saga.prepare_event == [],
    "finalize_event": lambda saga: saga.finalize_event == [],
    "on_exception": lambda saga: saga.on_exception == [],
    "on_final": lambda saga: saga.on_final == [],
    "event_cls": lambda saga: isinstance(saga.events["succeeded"], saga.event_cls),
    "state_cls": lambda saga: isinstance(saga.states["INITIEE"], saga.state_cls),
    "transition_cls": lambda saga: isinstance(saga.get_transitions()[0], saga.transition_cls),
    "get_model_state": lambda saga: saga.get_model_state(saga).name == "INITIEE",
    "get_state": lambda saga: saga.get_state("CONFIRMEE").name == "CONFIRMEE",
    "get_transitions": lambda saga: [t.dest for t in saga.get_transitions("succeeded", "INITIEE")],
    "get_triggers": lambda saga: set(saga.get_triggers("INITIEE")) == {t for s, t in edges(CHECKOUT) if s == "INITIEE"},
    "has_queue": lambda saga: saga.has_queue is False,
    "initial": lambda saga: saga.initial == "INITIEE",
    "is_state": lambda saga: saga.is_state("INITIEE", saga) and not saga.is_state("CONFIRMEE", saga),
    "model": lambda saga: saga.model is saga,
    "resolve_callable": lambda saga: saga.resolve_callable("moved", _data(saga)) == saga.moved,
    "self_literal": lambda saga: saga.self_literal == "self",
    "separator": lambda saga: saga.separator == "_",
    "wildcard_all": lambda saga: saga.wildcard_all == "*",
    "wildcard_same": lambda saga: saga.wildcard_same == "=",
}
#: Attributes that move the saga or call the saga's callbacks.
MOVES = {
    "callback": lambda saga: saga.callback("moved", _data(saga)),
    "callbacks": lambda saga: saga.callbacks(["moved"], _data(saga)),
    "dispatch": lambda saga: saga.dispatch("succeeded", actor="me"),
}
#: Attributes that would change the table, or change the state without a transition. They raise an error.
REFUSED = {
    "add_model": lambda saga: saga.add_model(object()),
    "add_ordered_transitions": lambda saga: saga.add_ordered_transitions(),
    "add_state": lambda saga: saga.add_state("MORE"),
    "add_states": lambda saga: saga.add_states(["MORE"]),
    "add_transition": lambda saga: saga.add_transition("jump", "INITIEE", "CONFIRMEE"),
    "add_transitions": lambda saga: saga.add_transitions([["jump", "INITIEE", "CONFIRMEE"]]),
    "remove_model": lambda saga: saga.remove_model(saga),
    "remove_transition": lambda saga: saga.remove_transition("succeeded"),
    "set_state": lambda saga: saga.set_state("CONFIRMEE"),
}
#: Arguments of Machine's constructor, and the attributes in which Machine keeps its parts.
ATTRIBUTES = (
    "after_state_change", "auto_transitions", "before_state_change", "events", "finalize_event",
    "ignore_invalid_triggers", "initial", "model_attribute", "model_override", "models", "on_exception", "on_final",
    "prepare_event", "send_event", "state", "states",
)  # fmt: skip
#: Ways to change an object that all sagas of a definition share, such as an event or a state.
PAST_IT: dict[str, Callable[[SagaMachine], object]] = {
    "an event": lambda saga: saga.events["succeeded"].add_transition(saga.get_transitions()[0]),
    "an event's transitions": lambda saga: saga.events["succeeded"].transitions.update(X=[]),
    "an event's transitions of a state": lambda saga: saga.events["succeeded"].transitions["INITIEE"].append(1),
    "a callback of an event": lambda saga: saga.before_succeeded(print),
    "a callback of a state": lambda saga: saga.on_enter_CONFIRMEE(print),
    "a callback of a transition": lambda saga: saga.get_transitions()[0].add_callback("before", print),
    "a transition's end": lambda saga: setattr(saga.get_transitions("succeeded", "INITIEE")[0], "dest", "CONFIRMEE"),
    "a transition out of another state": lambda saga: saga.get_transitions(dest="CONFIRMEE")[0].execute(_data(saga)),
    "a state": lambda saga: setattr(saga.states["INITIEE"], "final", True),
    "the states": lambda saga: saga.states.pop("INITIEE"),
    "the events": lambda saga: saga.events.pop("succeeded"),
    "the models": lambda saga: saga.models.append(object()),
    "the callbacks": lambda saga: saga.after_state_change.clear(),
    "another saga": lambda saga: saga.events["succeeded"].trigger(SagaMachine(COMMANDE)),
}


class RecordingMachine(SagaMachine):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.seen: list[EventData] = []

    def moved(self, event):
        self.seen.append(event)


@pytest.fixture
def saga():
    return RecordingMachine(CHECKOUT)


@pytest.fixture(autouse=True)
def others_are_as_the_table_says():
    """After each test, check that other sagas of the same table still have exactly the transitions of the table."""
    other = SagaMachine(CHECKOUT)
    yield
    for fresh in (other, SagaMachine(CHECKOUT)):
        assert fresh.state == "INITIEE"
        assert list(fresh.states) == [NOWHERE, *CHECKOUT.states]
        found = {(t.source, name): t.dest for name in fresh.events for t in fresh.get_transitions(name)}
        assert found == {(NOWHERE, Trigger.START): CHECKOUT.initial} | edges(CHECKOUT)
        assert fresh.succeeded()
        assert fresh.state == "PANIER_RECUPERE"


def test_each_public_name_of_machine_has_a_test_here():
    public = {name for name in dir(Machine) if not name.startswith("_")}
    assert public == {*READS, *MOVES, *REFUSED}
    shown = {name for name in vars(Machine(initial="A")) if not name.startswith("_")}
    added = {"name", "state", "trigger", "may_trigger", "is_A", "to_A", "may_to_A"}
    assert shown - added <= {*ATTRIBUTES}


@pytest.mark.parametrize("name", READS)
def test_reading_attributes_of_machine_are_true_for_a_saga(saga, name):
    assert READS[name](saga)
    assert (saga.state, saga.seen) == ("INITIEE", [])


@pytest.mark.parametrize("name", REFUSED)
def test_attribute_that_would_change_a_table_is_refused(saga, name):
    with pytest.raises(MachineError, match="new version of the table"):
        REFUSED[name](saga)
    assert (saga.state, saga.seen) == ("INITIEE", [])


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_parts_of_a_machine_cannot_be_set(saga, name):
    with pytest.raises(MachineError):
        setattr(saga, name, getattr(saga, name))
    assert (saga.state, saga.seen) == ("INITIEE", [])


@pytest.mark.parametrize("name", PAST_IT)
def test_parts_that_all_sagas_share_cannot_be_changed(saga, name):
    with pytest.raises((MachineError, TypeError, AttributeError)):
        PAST_IT[name](saga)
    assert (saga.state, saga.seen) == ("INITIEE", [])


def test_dispatch_moves_the_saga(saga):
    assert MOVES["dispatch"](saga) is True
    assert (saga.state, saga.seen[0].kwargs) == ("PANIER_RECUPERE", {"actor": "me"})


@pytest.mark.parametrize("name", ["callback", "callbacks"])
def test_callbacks_are_called_on_the_saga(saga, name):
    MOVES[name](saga)
    assert [event.machine for event in saga.seen] == [saga]


def test_the_saga_is_the_only_model_of_its_machine(saga):
    assert saga.models == [saga]
    assert {event.machine for event in saga.events.values()} == {saga}


@pytest.mark.parametrize("way", [lambda saga: saga.succeeded, lambda saga: lambda **f: saga.trigger("succeeded", **f)])
def test_triggers_are_methods_of_the_saga(saga, way):
    assert way(saga)(attempt=2) is True
    assert saga.is_PANIER_RECUPERE()
    (event,) = saga.seen
    assert (event.model, event.machine, event.kwargs) == (saga, saga, {"attempt": 2})
    assert (event.transition.source, event.state.name) == ("INITIEE", "PANIER_RECUPERE")


@pytest.mark.parametrize("state", CHECKOUT.states)
def test_may_and_is_methods_fit_the_state_of_the_saga(state):
    saga = SagaMachine(CHECKOUT, state)
    assert [known for known in CHECKOUT.states if getattr(saga, f"is_{known}")()] == [state]
    for trigger in saga.events:
        may = (state, trigger) in edges(CHECKOUT)
        assert getattr(saga, f"may_{trigger}")() is saga.may_trigger(trigger) is saga.may(Trigger(trigger)) is may


def test_a_trigger_that_the_table_does_not_have_from_here_is_refused(saga):
    for move in (saga.resolve, lambda: saga.trigger("resolve"), lambda: saga.dispatch("resolve")):
        with pytest.raises(MachineError, match=r"resolve.*INITIEE"):
            move()
    with pytest.raises(AttributeError, match="jump"):
        saga.trigger("jump")
    with pytest.raises(AttributeError):
        saga.jump()
    assert saga.may_trigger("jump") is False


def test_dir_lists_the_methods_of_a_saga(saga):
    assert {"succeeded", "may_succeeded", "is_CONFIRMEE", "trigger", "may_trigger"} <= set(dir(saga))
    assert all(callable(getattr(saga, name)) for name in dir(saga) if name.startswith(("is_", "may_")))


def test_no_attribute_of_a_stored_saga_hides_a_trigger():
    saga = Instance(CHECKOUT, uuid4(), {})
    hidden = [trigger for trigger in Trigger if hasattr(Instance, trigger) or trigger in vars(saga)]
    assert hidden == []
    saga.succeeded(actor="me")
    assert [(move.trigger, move.dest, move.actor) for move in saga.unsaved] == [("succeeded", "PANIER_RECUPERE", "me")]
