"""Every outcome of every step of a table, each as a scenario of its own."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from machines.saga import Saga
from machines.step import EFFECTFUL, Kind, Step
from machines.testing.answers import (
    accepted,
    always,
    busy,
    died,
    died_before,
    down,
    failed,
    lost,
    ok,
    pending,
    refused,
    unheard,
)
from machines.testing.scenario import Scenario, given

#: Longest deadline of a table whose steps are tested with a participant that is never reachable, in seconds: each try
#: until the deadline is a request, and most of them are 30 s apart.
_LONGEST_DOWN_S = 6 * 3_600


def every_outcome(definition: Saga, data: Mapping[str, Any] | None = None) -> list[Scenario]:
    """Return one scenario for each outcome of each call, for `pytest.mark.parametrize`.

    A call is refused, is lost once or always, is not sent, or its process dies; so is each undo, after a later step has
    made the saga go back. A saga that waits is not continued: the test sends its signals and lets time pass.
    """
    start = given(definition, data)
    return list(every_outcome_of(start))


def every_outcome_of(start: Scenario) -> Iterator[Scenario]:
    """Yield the scenarios of `every_outcome`, each with the answers and bodies of `start`."""
    yield replace(start, name="every step succeeds")
    for step in start.definition.steps:
        if step.call is None:
            continue
        for words, answers in _of_call(step, start.definition.deadline_s):
            yield replace(start.when(**{step.name: answers}), name=f"{step.name}: {words}")
        for words, answers in _of_poll() if step.poll else ():
            asked = start.when(**{step.name: accepted}).when_polled(**{step.name: answers})
            yield replace(asked, name=f"{step.name}: accepted, {words}")
    for step in start.definition.steps:
        later = _refusable_after(start.definition, step)
        if step.undo is None or later is None:
            continue
        back = start.when(**{later.name: refused()})
        for words, answers in _of_undo():
            yield replace(back.when_undone(**{step.name: answers}), name=f"undo {step.name}: {words}")


def _of_call(step: Step, deadline_s: float) -> Iterator[tuple[str, Any]]:
    yield "refused", refused()
    yield "its reply is lost", lost
    yield "its request is lost", unheard
    yield "never answered, but done", always(lost)
    yield "never answered, and not done", always(unheard)
    yield "not reachable for a while", [down, down]
    if step.refused and deadline_s <= _LONGEST_DOWN_S:  # a step without a way back is sent until it is reached
        yield "never reachable", always(down)
    yield "fails with 500", failed
    yield "asks to wait", busy()
    if step.kind in EFFECTFUL:
        yield "the process dies after the call", died
        yield "the process dies before the call", died_before
        yield "its reply is lost, then it is refused", [unheard, refused()]
    if step.later and step.poll is None:
        yield "accepted", accepted


def _of_poll() -> Iterator[tuple[str, Any]]:
    yield "done at the first poll", ok
    yield "done after two polls", [pending, pending, ok]
    yield "then refused", [pending, refused()]
    yield "a poll is lost, then it is done", [unheard, ok]
    yield "the poll fails with 500", failed
    yield "the poll is not reachable for a while", [down, down]
    yield "not known to the poll", always(refused("unknown", 404))
    yield "never answered", always(pending)


def _of_undo() -> Iterator[tuple[str, Any]]:
    yield "its reply is lost", lost
    yield "refused", refused()
    yield "never answered", always(unheard)
    yield "the process dies after the call", died


def _refusable_after(definition: Saga, step: Step) -> Step | None:
    """Return the first step after this one whose refusal makes the saga go back; None when there is none."""
    following = definition.steps[definition.steps.index(step) + 1 :]
    kinds = (Kind.READ, Kind.COMPENSATABLE, Kind.PIVOT)
    return next((each for each in following if each.kind in kinds and each.refused), None)
