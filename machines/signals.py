"""Which step of a saga waits for a signal, and whether the saga can still come to that step."""

from collections.abc import Iterable, Iterator

from machines.branches import branch_tables
from machines.check_graph import closure
from machines.registry import Registry
from machines.saga import Saga
from machines.step import Step


def waits_of(saga: Saga) -> Iterator[Step]:
    """Yield each step that waits for a signal."""
    return (step for step in saga.steps if step.waits is not None and step.waits.signal is not None)


def step_waiting_for(saga: Saga, signal: str) -> Step | None:
    """Return the step that waits for this signal; None when no step does."""
    return next((step for step in waits_of(saga) if step.waits and step.waits.signal == signal), None)


def tables_below(registry: Registry, saga: Saga) -> Iterator[Saga]:
    """Yield the tables of the sagas that the steps of a saga start, at any depth. A table may come twice."""
    for table in branch_tables(saga):
        yield table
        yield from _started_by(registry, table.steps)
    yield from _started_by(registry, saga.steps)


def _started_by(registry: Registry, steps: Iterable[Step]) -> Iterator[Saga]:
    """Yield the tables of the sagas that `sub` steps start, and those below them."""
    for step in steps:
        if step.starts is not None and step.group is None and step.starts in registry.names:
            child = registry.latest(step.starts)
            yield child
            yield from tables_below(registry, child)


def can_still_wait(saga: Saga, state: str, step: Step) -> bool:
    """Return True when a saga in this state waits for the step's signal, or may wait for it later."""
    (entry,) = (name for name, at in saga.states.items() if at.waits is not None and at.step == step)
    return entry in states_ahead(saga, state)


def states_ahead(saga: Saga, state: str) -> set[str]:
    """Return this state, and each one that a saga in it may enter later, also when a person helps it."""
    onward: dict[str, set[str]] = {name: set() for name in saga.states}
    for transition in saga.transitions:
        onward[transition.source].add(transition.dest)
    return closure(onward, (state,))
