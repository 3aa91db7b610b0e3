"""What happens in which order, found by running a table: nothing of it is written by hand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from machines.call import Call
from machines.machine import SagaMachine
from machines.rows import Phase, Trigger
from machines.saga import Saga
from machines.step import Step


class Asks(StrEnum):
    DO = "do"
    PROBE = "probe"
    UNDO = "undo"


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A call, its outcome, and the state that the saga then stands in. asks: what the call is to the step."""

    step: Step
    call: Call
    asks: Asks
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
    """Give the course on which all goes well, one for each step that may be refused, and one for each probe."""
    yield _run(saga, "success", "every step succeeds", {})
    for step in saga.steps:
        if step.refused:
            yield _run(saga, f"{step.name}-refused", f"{step.name} is refused", {step.name: Trigger.REFUSED})
        if step.probe:
            says = f"the answer to {step.name} is lost, and its probe finds that it succeeded"
            yield _run(saga, f"{step.name}-unanswered", says, {step.name: Trigger.RETRY})


def _run(saga: Saga, name: str, says: str, unwell: Mapping[str, Trigger]) -> Run:
    """Run a table. unwell: the outcome of the first call of a step, by the step's name, where it is not success."""
    machine, outcomes = SagaMachine(saga), dict(unwell)
    exchanges: list[Exchange] = []
    while machine.at.phase not in (Phase.COMPLETED, Phase.COMPENSATED):
        at = machine.at
        if at.phase is Phase.PASSING:
            machine.fire(Trigger.BEGIN if machine.may(Trigger.BEGIN) else Trigger.COMPENSATE)
            continue
        assert at.step is not None
        assert at.call is not None
        call, asks = at.call, Asks(at.direction)
        if at.step.probe and exchanges and exchanges[-1].outcome is Trigger.RETRY:
            call, asks = at.step.probe, Asks.PROBE
        outcome = outcomes.pop(at.step.name, Trigger.SUCCEEDED) if asks is Asks.DO else Trigger.SUCCEEDED
        machine.fire(outcome)
        exchanges.append(Exchange(step=at.step, call=call, asks=asks, outcome=outcome, then=machine.state))
    return Run(saga=saga, name=name, says=says, exchanges=tuple(exchanges), end=machine.state)
