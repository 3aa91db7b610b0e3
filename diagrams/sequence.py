"""The runs of a saga for sequence diagrams: the calls in their order. A trial saga makes each run in memory."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from machines.call import Call
from machines.outcomes import Outcome
from machines.progress import Walk
from machines.saga import Saga
from machines.step import Kind, Step
from machines.transitions import Trigger


class Asks(StrEnum):
    DO = "do"
    PROBE = "probe"
    UNDO = "undo"


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A call in a sequence diagram, with its outcome."""

    step: Step
    call: Call
    #: Purpose of the call.
    asks: Asks
    #: Trigger of the move that followed.
    outcome: Trigger
    #: State of the saga after that move.
    then: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a saga, for one sequence diagram."""

    saga: Saga
    #: Name of the run in the names of its files.
    name: str
    #: What happens in the run, for the title of the diagram.
    says: str
    exchanges: tuple[Exchange, ...]
    #: Last state of the saga.
    end: str


def runs(saga: Saga) -> Iterator[Run]:
    """Yield the run in which every step succeeds, one run for each refusal, and one run for each probe."""
    yield _run(saga, "success", "every step succeeds", {})
    for step in saga.steps:
        if step.refused and step.kind is not Kind.PAUSE:
            yield _run(saga, f"{step.name}-refused", f"{step.name} is refused", {step.name: Outcome.REFUSED})
        if step.probe:
            says = f"the answer to {step.name} is lost, and its probe finds that it succeeded"
            yield _run(saga, f"{step.name}-unanswered", says, {step.name: Outcome.IN_DOUBT})


def _run(saga: Saga, name: str, says: str, unwell: Mapping[str, Outcome]) -> Run:
    """Run a saga in memory. unwell: step → outcome of its first call; all other calls succeed."""
    walk, outcomes = Walk(saga), dict(unwell)
    walk.pass_on()
    exchanges: list[Exchange] = []
    while walk.current.runs:
        call = walk.probe or walk.current.call
        if call is None:  # a pause, or a wait for a signal
            step = walk.current.step
            walk.conclude(outcomes.pop(step.name, Outcome.SUCCEEDED) if step else Outcome.SUCCEEDED)
            walk.take()
            continue
        at, asks = walk.current, Asks.PROBE if walk.probe else Asks(walk.current.direction)
        assert at.step is not None
        walk.take()
        outcome = walk.conclude(outcomes.pop(at.step.name, Outcome.SUCCEEDED) if asks is Asks.DO else Outcome.SUCCEEDED)
        exchanges.append(Exchange(step=at.step, call=call, asks=asks, outcome=outcome, then=walk.take()[0].name))
    return Run(saga=saga, name=name, says=says, exchanges=tuple(exchanges), end=walk.state)
