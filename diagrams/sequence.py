"""The runs of a saga for sequence diagrams: the calls in their order. A trial saga makes each run in memory."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from diagrams.descriptions import meanings
from machines.call import Call
from machines.outcomes import Outcome
from machines.progress import Walk
from machines.saga import Saga
from machines.step import Kind, Step
from machines.transitions import Trigger


class Asks(StrEnum):
    DO = "do"
    PROBE = "probe"
    #: Gets the reply of a step again, because its undo needs that reply.
    RECOVER = "recover"
    UNDO = "undo"
    #: The participant answers an accepted call: it calls the saga.
    ANSWER = "answer"
    #: Asks for the answer to an accepted call.
    POLL = "poll"


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
    #: True: the participant refused the call, but left something behind.
    leaves_something: bool = False
    #: What conditions decided before the call, in words.
    decided: tuple[str, ...] = ()


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
    #: What conditions decided after the last call, in words.
    decided: tuple[str, ...] = ()


def runs(saga: Saga) -> Iterator[Run]:
    """Yield the run in which every step succeeds, and one run for each other outcome that the table provides for."""
    yield _run(saga, "success", "every step succeeds", {})
    for step in saga.steps:
        if step.when:
            yield _run(saga, f"{step.name}-skipped", f"{step.name} is skipped", {}, skips=[step.name])
        if step.refused and step.kind is not Kind.PAUSE:
            yield _run(saga, f"{step.name}-refused", f"{step.name} is refused", {step.name: Outcome.REFUSED})
        if step.later:
            says = f"{step.name} is accepted, and succeeds later"
            yield _run(saga, f"{step.name}-later", says, {step.name: Outcome.ACCEPTED})
        if Outcome.REFUSED_UNDO in {outcome for _, outcome in meanings(step.call)}:
            says = f"{step.name} is refused, but leaves something behind"
            yield _run(saga, f"{step.name}-refused-undo", says, {step.name: Outcome.REFUSED_UNDO})
        if step.probe:
            says = f"the answer to {step.name} is lost, and its probe finds that it succeeded"
            yield _run(saga, f"{step.name}-unanswered", says, {step.name: Outcome.IN_DOUBT})
        if step.recovery and step.undo_needs_reply:
            says = f"no answer to {step.name} comes, and its undo needs that answer"
            yield _run(saga, f"{step.name}-lost", says, {}, lost=step.name)


def _run(
    saga: Saga, name: str, says: str, unwell: Mapping[str, Outcome], *, lost: str = "", skips: Collection[str] = ()
) -> Run:
    """Run a saga in memory. unwell: step → outcome of its first call; all other calls succeed.

    lost: the step whose answers are all lost. skips: the steps whose conditions do not hold; all others hold.
    """
    walk, outcomes = Walk(saga), dict(unwell)
    walk.skips = frozenset(skips)
    walk.pass_on()
    exchanges: list[Exchange] = []
    while walk.current.runs:
        call = walk.probe or walk.current.call
        if call is None:  # a pause, or a wait for a signal or an answer
            step = walk.current.step
            if step and step.call and walk.current.awaits_answer:
                exchanges.append(_answer(walk, step, step.call))
                continue
            if step and walk.current.awaits_child:
                exchanges.append(_child(walk, step, outcomes))
                continue
            walk.conclude(outcomes.pop(step.name, Outcome.SUCCEEDED) if step else Outcome.SUCCEEDED)
            walk.take()
            continue
        at, asks = walk.current, Asks.PROBE if walk.probe else Asks(walk.current.direction)
        assert at.step is not None
        if at.undoes and at.step.name == lost:
            exchanges.append(_recovery(at.step, at.name))
        walk.take()
        decided = tuple(walk.take_decisions())
        outcome = outcomes.pop(at.step.name, Outcome.SUCCEEDED) if asks is Asks.DO else Outcome.SUCCEEDED
        if at.step.name == lost and asks is not Asks.UNDO:
            last = asks is Asks.PROBE or not at.probe
            trigger = walk.exhaust() if last else walk.conclude(Outcome.IN_DOUBT)
        else:
            trigger = walk.conclude(outcome)
        exchanges.append(
            Exchange(
                step=at.step, call=call, asks=asks, outcome=trigger, then=walk.take()[0].name,
                leaves_something=outcome is Outcome.REFUSED_UNDO, decided=decided,
            )
        )  # fmt: skip
    return Run(
        saga=saga,
        name=name,
        says=says,
        exchanges=tuple(exchanges),
        end=walk.state,
        decided=tuple(walk.take_decisions()),
    )


def _child(walk: Walk, step: Step, outcomes: dict[str, Outcome]) -> Exchange:
    """Let the child of the step end, or let it be compensated, and return this as an exchange with the child."""
    at = walk.current
    call = step.undo if at.undoes else step.call
    assert call is not None
    walk.take()
    outcome = Outcome.SUCCEEDED if at.undoes else outcomes.pop(step.name, Outcome.SUCCEEDED)
    if step.group is not None and outcome is Outcome.REFUSED:
        outcome = Outcome.REFUSED_UNDO  # the other branches may have done something
    trigger = walk.conclude(outcome)
    return Exchange(step=step, call=call, asks=Asks(at.direction), outcome=trigger, then=walk.take()[0].name)


def _answer(walk: Walk, step: Step, call: Call) -> Exchange:
    walk.take()
    trigger = walk.conclude(Outcome.SUCCEEDED)
    call, asks = (step.asks, Asks.POLL) if step.asks else (call, Asks.ANSWER)
    return Exchange(step=step, call=call, asks=asks, outcome=trigger, then=walk.take()[0].name)


def _recovery(step: Step, state: str) -> Exchange:
    """Return the call that gets the lost reply of a step again, in the state of its undo."""
    assert step.recovery is not None
    return Exchange(step=step, call=step.recovery, asks=Asks.RECOVER, outcome=Trigger.SUCCEEDED, then=state)
