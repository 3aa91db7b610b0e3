"""Which step of a saga waits for a signal, and whether the saga can still come to that step."""

from collections.abc import Iterator

from machines.check_graph import closure
from machines.saga import Saga
from machines.step import Step


def waits_of(saga: Saga) -> Iterator[Step]:
    """Yield each step that waits for a signal."""
    return (step for step in saga.steps if step.waits is not None and step.waits.signal is not None)


def step_waiting_for(saga: Saga, signal: str) -> Step | None:
    """Return the step that waits for this signal; None when no step does."""
    return next((step for step in waits_of(saga) if step.waits and step.waits.signal == signal), None)


def can_still_wait(saga: Saga, state: str, step: Step) -> bool:
    """Return True when a saga in this state waits for the step's signal, or may wait for it later."""
    (entry,) = (name for name, at in saga.states.items() if at.waits is not None and at.step == step)
    onward: dict[str, set[str]] = {name: set() for name in saga.states}
    for transition in saga.transitions:
        onward[transition.source].add(transition.dest)
    return entry in closure(onward, (state,))
