"""Every outcome of every step of a table, each as a scenario of its own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from machines.call import Call
from machines.outcomes import Outcome
from machines.replies import Reply, outcome_of
from machines.saga import Saga
from machines.step import EFFECTFUL, Kind, Step
from machines.testing.answers import (
    Answer,
    accepted,
    always,
    busy,
    died,
    died_before,
    down,
    failed,
    items,
    lost,
    ok,
    pending,
    refused,
    unheard,
)
from machines.testing.scenario import Place, Scenario, given, places, registry_of

#: Statuses of a refusal, the usual one first.
_REFUSALS = (409, 422, 400, 404, 410)
_REFUSABLE = (Kind.READ, Kind.COMPENSATABLE, Kind.PIVOT)


def every_outcome(
    definition: Saga, data: Mapping[str, Any] | None = None, children: Iterable[Saga] = ()
) -> list[Scenario]:
    """Return one scenario for each outcome of each call, for `pytest.mark.parametrize`.

    A call is refused, is lost once or always, is not sent, or its process dies; so is each undo, after a later step has
    made the saga go back. The same happens to each call of its branches and children; of the items of each(), to the
    first one. A saga that waits is not continued: the test sends its signals and lets time pass.
    """
    return list(every_outcome_of(given(definition, data, children)))


def every_outcome_of(start: Scenario) -> Iterator[Scenario]:
    """Yield the scenarios of `every_outcome`, each with the answers and bodies of `start`."""
    if not isinstance(start, Scenario):
        raise TypeError(f"every_outcome_of() takes a scenario, such as given(TRAVEL), not {start!s}")
    start = start.allowing_unused()  # most outcomes make the saga go back before it needs every answer
    yield replace(start, name="every step succeeds")
    for place in places(start.definition.steps):
        if place.step.starts is not None:
            yield from _of_child(start, place)
        elif place.step.call is not None:
            yield from _of_place(start, place)
    for place in places(start.definition.steps):
        yield from _of_way_back(start, place)


def _of_place(start: Scenario, place: Place) -> Iterator[Scenario]:
    step = place.step
    for words, answers in _of_call(step):
        yield replace(start.when(**{step.name: _first(place, answers)}), name=f"{step.name}: {words}")
    for words, answers in _of_poll(step.poll) if step.poll else ():
        asked = start.when(**{step.name: _first(place, accepted)})
        asked = asked.when_polled(**{step.name: _first(place, answers)})
        yield replace(asked, name=f"{step.name}: accepted, {words}")


def _of_child(start: Scenario, place: Place) -> Iterator[Scenario]:
    """Yield each outcome of each call of the saga that a step starts."""
    step = place.step
    for scenario in every_outcome_of(_child(start, step)):
        if scenario.name != "every step succeeds":
            named = start.when(**{step.name: _first(place, scenario)})
            yield replace(named, name=f"{step.name}: {scenario.name}")


def _child(start: Scenario, step: Step) -> Scenario:
    """Return what the test says of the saga that a step starts."""
    registry = registry_of((start.definition, *start.tables()))
    said = start.script.get(("do", step.name))
    return said if isinstance(said, Scenario) else given(registry.latest(step.starts or ""), children=start.children)


def _of_way_back(start: Scenario, place: Place) -> Iterator[Scenario]:
    """Yield each outcome of the undo of a step, after a later step has made the saga go back."""
    if later := _refusable_after(start.definition, place.step):
        yield from _of_undo_of(start.when(**{later.name: _refused(later.call)}), place)


def _of_undo_of(back: Scenario, place: Place) -> Iterator[Scenario]:
    """Yield each outcome of the undo of a step; of one that starts a saga, those that this saga alone does not have."""
    step = place.step
    if step.starts is not None:
        child = _child(back, step)
        for inner in places(child.definition.steps):
            if _refusable_after(child.definition, inner.step) is None:
                for scenario in _of_undo_of(child, inner):
                    named = back.when(**{step.name: _first(place, scenario)})
                    yield replace(named, name=f"{step.name}: {scenario.name}")
    elif step.undo is not None:
        for words, answers in _of_undo(step.undo):
            undone = back.when_undone(**{step.name: _first(place, answers)})
            yield replace(undone, name=f"undo {step.name}: {words}")


def _first(place: Place, answers: Any) -> Any:
    """Return answers that only the first item of each() gets."""
    for _ in range(place.items):
        answers = items(answers)
    return answers


def _of_call(step: Step) -> Iterator[tuple[str, Any]]:
    yield "refused", _refused(step.call)
    yield "its reply is lost", lost
    yield "its request is lost", unheard
    yield "never answered, but done", always(lost)
    yield "never answered, and not done", always(unheard)
    yield "not reachable for a while", [down, down]
    if step.refused:  # a step without a way back is sent until it is reached
        yield "never reachable", always(down)
    yield "fails with 500", failed
    yield "asks to wait", busy()
    if step.kind in EFFECTFUL:
        yield "the process dies after the call", died
        yield "the process dies before the call", died_before
        yield "its request is lost, then it is refused", [unheard, _refused(step.call)]
    if step.later and step.poll is None:
        yield "accepted", accepted


def _of_poll(poll: Call) -> Iterator[tuple[str, Any]]:
    yield "done at the first poll", ok
    yield "done after two polls", [pending, pending, ok]
    yield "then refused", [pending, _refused(poll)]
    yield "a poll is lost, then it is done", [unheard, ok]
    yield "the poll fails with 500", failed
    yield "the poll is not reachable for a while", [down, down]
    yield "not known to the poll", always(refused("unknown", 404))
    yield "never answered", always(pending)


def _of_undo(undo: Call) -> Iterator[tuple[str, Any]]:
    yield "its reply is lost", lost
    yield "refused", _refused(undo)
    yield "never answered", always(unheard)
    yield "the process dies after the call", died


def _refused(call: Call | None) -> Answer:
    """Return a refusal of a call: one with a status that its `means=` does not take for something else."""
    for status in _REFUSALS:
        answer = refused(status=status)
        if outcome_of(Reply(status=status, body=answer.body), call=call) in (Outcome.REFUSED, Outcome.REFUSED_UNDO):
            return answer
    return refused()


def _refusable_after(definition: Saga, step: Step) -> Step | None:
    """Return the first step after this one whose refusal makes the saga go back; None when there is none.

    A step of a branch is undone after a later step of its branch, or after one behind its group.
    """
    for steps in _ways(definition.steps, step):
        for each in steps:
            if each.kind in _REFUSABLE and each.refused and each.starts is None:
                return each
    return None


def _ways(steps: Sequence[Step], step: Step) -> list[Sequence[Step]]:
    """Return the steps behind a step in its branch, then those behind its group, outwards; [] if it is not here."""
    for number, each in enumerate(steps):
        if each is step:
            return [steps[number + 1 :]]
        for branch in each.group.branches if each.group else ():
            if inner := _ways(branch.steps, step):
                return [*inner, steps[number + 1 :]]
    return []
