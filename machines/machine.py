"""The `transitions` machine of one running saga, over the transitions of its table.

Building a `Machine` takes 250 µs, and every request creates a saga. So the states and transitions of a table are built
once per definition, and each saga is a small `Machine` that uses them; building it takes about 1 µs. All sagas of a
definition share these parts, so the parts are immutable: a method of `Machine` that would change them raises.

Only the transitions of its table move a saga: by `fire`, by `trigger("refused")` or by `saga.refused()`. After each
move the machine calls `moved`, its `after_state_change` callback.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from transitions import Event, EventData, Machine, MachineError, State, Transition

from machines.saga import Saga
from machines.transitions import NOWHERE, Phase, Trigger
from machines.transitions import State as TableState

#: The state of a saga before the trigger START; it is never stored and never shown.
_NOT_STARTED = TableState(name=NOWHERE, phase=Phase.PASSING)


def _refuse(*_: Any, **__: Any) -> Any:
    raise MachineError("a saga has the states and transitions of its table; write a new version of the table instead")


def _fixed(get: Callable[[Any], Any]) -> Any:
    """Return a read-only property."""
    return property(get, _refuse)


class FixedList(list[Any]):
    """A list that cannot be changed."""

    append = extend = insert = remove = pop = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse


class _SetOnce:
    """Base of the parts that all sagas of a definition share. An attribute cannot be changed after it was set."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self):
            _refuse()
        super().__setattr__(name, value)


class SagaState(_SetOnce, State):
    """A state of a table. It has no callbacks."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        vars(self).update(on_enter=FixedList(), on_exit=FixedList())


class SagaTransition(_SetOnce, Transition):
    """A transition of a table. Nothing else changes the state of a saga."""

    def __init__(self, source: str, dest: str) -> None:
        super().__init__(source, dest)
        vars(self).update({name: FixedList() for name in ("prepare", "before", "after", "conditions")})

    def execute(self, event_data: EventData) -> bool:
        """Make the move and record it. The base class would also run callbacks, but these transitions have none."""
        self._change_state(event_data)
        event_data.machine.callbacks(event_data.machine.after_state_change, event_data)
        return True

    def _change_state(self, event_data: EventData) -> None:
        saga: Any = event_data.model
        dest: Any = self.dest
        if saga.state != self.source:
            raise MachineError(f"{saga.definition} is in {saga.state}, not in {self.source}")
        saga._at = saga.definition.states[dest]  # noqa: SLF001  nothing else sets it
        event_data.update(dest)


class SagaEvent(Event):
    """A trigger of one saga, with the transitions that the saga's table has for this trigger."""

    add_transition = add_callback = _refuse

    machine: "SagaMachine"
    transitions: Mapping[str, FixedList]  # type: ignore[assignment]  # Event only reads it

    def __init__(self, name: str, machine: "SagaMachine", transitions: Mapping[str, FixedList]) -> None:
        # The constructor of Event is not called, because it would only build a collection that is then replaced.
        self.name, self.machine, self.transitions = name, machine, transitions

    def trigger(self, model: object, *args: Any, **kwargs: Any) -> bool:
        """Make the move. The base class also handles queues, conditions and callbacks, but a saga has none."""
        saga = self.machine
        if model is not saga:
            raise MachineError("a saga is moved by its own events only")
        source = saga.states[saga.state]
        self._is_valid_source(source)  # raises MachineError for a state without this event
        event_data = EventData(source, self, saga, saga, args=args, kwargs=kwargs)
        (event_data.transition,) = self.transitions[saga.state]
        event_data.result = event_data.transition.execute(event_data)
        return True


class SagaEvents(Mapping[str, SagaEvent]):
    """The events of one saga, by trigger."""

    def __init__(self, machine: "SagaMachine", shared: Mapping[str, tuple[Trigger, Mapping[str, FixedList]]]) -> None:
        self._machine, self._shared = machine, shared

    def __getitem__(self, trigger: str) -> SagaEvent:
        name, transitions = self._shared[trigger]
        return SagaEvent(name, self._machine, transitions)

    def __iter__(self) -> Iterator[str]:
        return iter(self._shared)

    def __len__(self) -> int:
        return len(self._shared)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts that all sagas of a definition share."""

    #: Name → state.
    states: Mapping[str, SagaState]
    #: Name of a trigger → the trigger, and its transitions by source state.
    events: Mapping[str, tuple[Trigger, Mapping[str, FixedList]]]
    #: Name of a method → function that builds the method for a saga. `Machine` adds these methods to its model;
    #: `may_refused` is one of them.
    methods: Mapping[str, Callable[["SagaMachine"], Callable[..., Any]]]


@cache
def parts(definition: Saga) -> Parts:
    """Build the shared parts of a definition; the result is cached."""
    found: dict[Trigger, dict[str, FixedList]] = {}
    for transition in (definition.start, *definition.transitions):
        found.setdefault(transition.trigger, {})[transition.source] = FixedList(
            [SagaTransition(transition.source, transition.dest)]
        )
    events: dict[str, tuple[Trigger, Mapping[str, FixedList]]] = {
        trigger: (trigger, MappingProxyType(transitions)) for trigger, transitions in found.items()
    }
    methods: dict[str, Callable[[SagaMachine], Callable[..., Any]]] = {}
    for trigger in events:
        methods[trigger] = partial(_trigger_of, trigger)
        methods[f"may_{trigger}"] = partial(_may_of, trigger)
    for state in definition.states:
        methods[f"is_{state}"] = partial(_is_of, state)
    states = {name: SagaState(name) for name in (NOWHERE, *definition.states)}
    return Parts(states=MappingProxyType(states), events=MappingProxyType(events), methods=methods)


def _trigger_of(trigger: str, saga: "SagaMachine") -> Callable[..., Any]:
    return partial(saga.events[trigger].trigger, saga)


def _may_of(trigger: str, saga: "SagaMachine") -> Callable[..., Any]:
    return partial(saga.may_trigger, trigger)


def _is_of(state: str, saga: "SagaMachine") -> Callable[..., Any]:
    return partial(saga.is_state, state, saga)


class SagaMachine(Machine):
    """The state of one saga, which is the only model of this machine."""

    state_cls, transition_cls, event_cls = SagaState, SagaTransition, SagaEvent

    # Machine's constructor would set these attributes on each instance, but they are the same for every saga.
    name = ""
    _queued, _transition_queue = False, deque(maxlen=0)
    _before_state_change = _prepare_event = _finalize_event = _on_exception = _on_final = FixedList()
    _after_state_change = FixedList(["moved"])
    send_event = _fixed(lambda _: True)
    auto_transitions = _fixed(lambda _: False)
    ignore_invalid_triggers = _fixed(lambda _: None)
    model_attribute = _fixed(lambda _: "state")
    model_override = _fixed(lambda _: False)

    # These methods would change the table, or change the state without a move.
    add_model = remove_model = add_state = add_states = set_state = _refuse
    add_transition = add_transitions = add_ordered_transitions = remove_transition = _refuse
    before_state_change = _fixed(attrgetter("_before_state_change"))
    after_state_change = _fixed(attrgetter("_after_state_change"))
    prepare_event = _fixed(attrgetter("_prepare_event"))
    finalize_event = _fixed(attrgetter("_finalize_event"))
    on_exception = _fixed(attrgetter("_on_exception"))
    on_final = _fixed(attrgetter("_on_final"))

    #: The derived state that the saga is in, with its phase, its step and the call in flight.
    current: TableState = _fixed(attrgetter("_at"))
    state = _fixed(attrgetter("_at.name"))
    initial = _fixed(attrgetter("definition.initial"))
    states = _fixed(attrgetter("_parts.states"))
    events = _fixed(lambda self: SagaEvents(self, self._parts.events))
    models = _fixed(lambda self: FixedList([self]))

    def __init__(self, definition: Saga, state: str | None = None) -> None:
        self.definition, self._parts = definition, parts(definition)
        if state == NOWHERE:
            self._at = _NOT_STARTED
            return
        if state is not None and state not in self._parts.states:
            raise ValueError(f"{definition} has no state {state!r}")
        self._at = definition.states[state or definition.initial]

    def __getattr__(self, name: str) -> Any:
        """Return a method such as `refused`, `may_refused` or `is_ANNULEE`; it is built when it is used."""
        shared = vars(self).get("_parts")
        made = shared and shared.methods.get(name)
        return made(self) if made else super().__getattr__(name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._parts.methods]

    def trigger(self, trigger_name: str, *args: Any, **facts: Any) -> bool:
        """Make the move with the trigger of this name; every `Machine` has this method. The service calls `fire`."""
        return bool(self._get_trigger(self, trigger_name, *args, **facts))

    def may_trigger(self, trigger_name: str, *args: Any, **facts: Any) -> bool:
        return bool(self._can_trigger(self, trigger_name, *args, **facts))

    def may(self, trigger: Trigger) -> bool:
        event = self._parts.events.get(trigger)
        return event is not None and self._at.name in event[1]

    def fire(self, trigger: Trigger, **facts: Any) -> None:
        """Make the move. Raise `transitions.MachineError` when the table has no such move from the saga's state."""
        event = self._parts.events.get(trigger)
        if event is None:
            raise MachineError(f"{self.definition} has no row for {trigger}")
        SagaEvent(event[0], self, event[1]).trigger(self, **facts)

    def moved(self, event: EventData) -> None:
        """Do nothing after a move; subclasses record it. `event.kwargs` has the facts that `fire` received."""
