"""The `transitions` machine of one running saga, over the rows of its table.

Building a machine takes a quarter of a millisecond, so it is done once per definition; each saga is a `Machine` of
its own that shares that template's states and events (2 µs) and keeps only where it stands.
"""

from functools import cache
from typing import Any

from transitions import EventData, Machine, MachineError

from machines.rows import State, Trigger
from machines.saga import Saga


class SagaMachine(Machine):
    """One saga's state. Every move goes through `fire`, and each move made is handed to `moved`."""

    def __init__(self, definition: Saga, state: str | None = None) -> None:
        if state is not None and state not in definition.rows.states:
            raise ValueError(f"{definition} has no state {state!r}")
        self.__dict__.update(_template(definition).__dict__)
        self.definition = definition
        self.state = state or definition.initial

    @property
    def at(self) -> State:
        """The derived state it stands in: its phase, its step and the call that is in flight."""
        return self.definition.rows.states[self.state]

    def may(self, trigger: Trigger) -> bool:
        event = self.events.get(trigger)
        return event is not None and self.state in event.transitions

    def fire(self, trigger: Trigger, **facts: Any) -> None:
        """Make the move, or raise `transitions.MachineError` when no row of the table leaves this state by it."""
        if trigger not in self.events:
            raise MachineError(f"{self.definition} has no row for {trigger}")
        self.events[trigger].trigger(self, **facts)

    def moved(self, event: EventData) -> None:
        """Called after each move with its row in `event.transition` and the facts given to `fire`."""


@cache
def _template(definition: Saga) -> Machine:
    return Machine(
        model=None,
        states=list(definition.rows.states),
        initial=definition.initial,
        transitions=[[row.trigger, row.source, row.dest] for row in definition.rows.rows],
        auto_transitions=False,
        send_event=True,
        after_state_change="moved",
    )
