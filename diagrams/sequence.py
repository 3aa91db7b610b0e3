"""What happens in which order, found by running a table: nothing of it is written by hand."""

from collections.abc import Iterator
from dataclasses import dataclass

from machines.call import Call
from machines.machine import SagaMachine
from machines.rows import Phase, Trigger
from machines.saga import Saga
from machines.step import Step


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A call, its outcome, and the state that the saga then stands in."""

    step: Step
    call: Call
    undo: bool
    outcome: Trigger
    then: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """One course of a saga. `end` is where it ends, `name` what sets it apart from the others."""

    saga: Saga
    name: str
    says: str
    exchanges: tuple[Exchange, ...]
    end: str


def runs(saga: Saga) -> Iterator[Run]:
    """Give the course on which all goes well, and one for each step that may be refused."""
    yield _run(saga, "success", "every step succeeds", None)
    for step in saga.steps:
        if step.refused:
            yield _run(saga, f"{step.name}-refused", f"{step.name} is refused", step)


def _run(saga: Saga, name: str, says: str, refused: Step | None) -> Run:
    machine = SagaMachine(saga)
    exchanges = []
    while machine.at.phase not in (Phase.COMPLETED, Phase.COMPENSATED):
        at = machine.at
        if at.phase is Phase.PASSING:
            machine.fire(Trigger.BEGIN if machine.may(Trigger.BEGIN) else Trigger.COMPENSATE)
            continue
        assert at.step is not None
        assert at.call is not None
        no = at.phase is Phase.FORWARD and at.step is refused
        outcome = Trigger.REFUSED if no else Trigger.SUCCEEDED
        machine.fire(outcome)
        undo = at.phase is Phase.UNDOING
        exchanges.append(Exchange(step=at.step, call=at.call, undo=undo, outcome=outcome, then=machine.state))
    return Run(saga=saga, name=name, says=says, exchanges=tuple(exchanges), end=machine.state)
