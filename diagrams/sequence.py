"""The runs of a saga for sequence diagrams: the calls in their order, found by running the definition."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from machines.call import Call
from machines.outcomes import Outcome
from machines.progress import Walk
from machines.saga import Saga
from machines.step import Step
from machines.transitions import Trigger


class Asks(StrEnum):
    DO = "do"
    PROBE = "probe"
    UNDO = "undo"


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A call, its outcome, and the state of the saga after it. `asks`: do, undo or probe."""

    step: Step
    call: Call
    asks: Asks
    outcome: Trigger
    then: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a saga. `end`: its last state. `name`: part of the file name."""

    saga: Saga
    name: str
    says: str
    exchanges: tuple[Exchange, ...]
    end: str


def runs(saga: Saga) -> Iterator[Run]:
    """Yield the run in which every step succeeds, one run for each refusal, and one run for each probe."""
    yield _run(saga, "success", "every step succeeds", {})
    for step in saga.steps:
        if step.refused:
            yield _run(saga, f"{step.name}-refused", f"{step.name} is refused", {step.name: Outcome.REFUSED})
        if step.probe:
            says = f"the answer to {step.name} is lost, and its probe finds that it succeeded"
            yield _run(saga, f"{step.name}-unanswered", says, {step.name: Outcome.IN_DOUBT})


def _run(saga: Saga, name: str, says: str, unwell: Mapping[str, Outcome]) -> Run:
    """Run a definition. `unwell`: the outcome of a step's first call, for the steps whose first call fails."""
    walk, outcomes = Walk(saga), dict(unwell)
    walk.pass_on()
    exchanges: list[Exchange] = []
    while call := walk.probe or walk.current.call:
        at, asks = walk.current, Asks.PROBE if walk.probe else Asks(walk.current.direction)
        assert at.step is not None
        walk.take()
        outcome = walk.conclude(outcomes.pop(at.step.name, Outcome.SUCCEEDED) if asks is Asks.DO else Outcome.SUCCEEDED)
        exchanges.append(Exchange(step=at.step, call=call, asks=asks, outcome=outcome, then=walk.take()[0].name))
    return Run(saga=saga, name=name, says=says, exchanges=tuple(exchanges), end=walk.state)
