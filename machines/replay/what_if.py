"""What if: a recording with one outcome changed."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from machines.history import StepEffect, effects_of
from machines.replay.arrivals import ARRIVALS, Arrival, arrivals_of, with_arrival
from machines.replay.playing import Played
from machines.replay.recording import Recording
from machines.saga import Saga
from machines.step import Step
from machines.testing import (
    Always,
    Answer,
    Items,
    Run,
    accepted,
    always,
    busy,
    died,
    down,
    failed,
    lost,
    ok,
    pending,
    refused,
    unheard,
)
from machines.testing.scenario import Scenario, places

#: Word → the answers to every request of the call.
OUTCOMES: Mapping[str, Sequence[Answer | Always]] = MappingProxyType({
    "ok": (ok,),
    "refused": (always(refused()),),
    "lost": (lost,),
    "always-lost": (always(lost),),
    "unheard": (unheard,),
    "always-unheard": (always(unheard),),
    "failed": (failed,),
    "busy": (busy(),),
    "down": (down,),
    "always-down": (always(down),),
    "died": (died,),
    "accepted": (accepted,),
    "pending": (pending,),
    "always-pending": (always(pending),),
})  # fmt: skip
#: Every word for an outcome.
CHANGES = tuple(dict.fromkeys((*OUTCOMES, *ARRIVALS)))
_CHANGE = re.compile(r"(?:(undo|probe|poll|signal|answer)[ :])?(\w[\w.\[\]]*)=([\w-]+)")


class UnknownChangeError(ValueError):
    """The text is no change of an outcome. The message says what can be changed."""


def calls_of(definition: Saga, children: Sequence[Saga] = ()) -> list[str]:
    """Return everything whose outcome can be changed.

    These are calls (`pay`, `undo pay`, `probe pay`, `poll pay`, `reserve[0]`), signals (`signal release`) and later
    answers (`answer pay`).

    children: the tables of the sagas that its steps start; their calls are `pay.charge`, `undo pay.charge`.
    """
    each = list(_calls(definition, {table.name: table for table in children}))
    done = [name for name, step in each if step.call]
    undone = [f"undo {name}" for name, step in each if step.undo]
    probed = [f"probe {name}" for name, step in each if step.probe]
    arrivals = [each.name for each in arrivals_of(definition, children)]
    return [*done, *undone, *probed, *(f"poll {name}" for name, step in each if step.poll), *arrivals]


def _calls(definition: Saga, children: Mapping[str, Saga]) -> Iterator[tuple[str, Step]]:
    """Yield the name of each step with a call, and the step."""
    for place in places(definition.steps):
        name = place.step.name + "[0]" * place.items
        if place.step.starts is None:
            yield name, place.step
        elif child := children.get(place.step.starts):
            yield from ((f"{name}.{inner}", step) for inner, step in _calls(child, children))


def changed(recording: Recording, change: str) -> Recording:
    """Return the recording with the outcome of one call changed: `pay=refused`, `undo reserve[1]=always-lost`."""
    scenario = recording.scenario
    calls = calls_of(scenario.definition, scenario.children)
    found = _CHANGE.fullmatch(change.strip())
    call = f"{found[1]} {found[2]}" if found and found[1] else found[2] if found else ""
    if found is None or _any_item(call) not in map(_any_item, calls):
        item = next((f"; {each.replace('[0]', '[1]')} is the second item" for each in calls if "[0]" in each), "")
        raise UnknownChangeError(f"{change!r} changes no call; write CALL=OUTCOME with {', '.join(calls)}{item}")
    if arrival := _arrival(recording, call):
        return _arriving(recording, arrival, found[3])
    if found[3] not in OUTCOMES:
        raise UnknownChangeError(f"{found[3]!r} is no outcome; use {', '.join(OUTCOMES)}")
    key = (found[1] or "do", found[2])
    asked = {**recording.requests, key: len(recording.moves) + 10_000}  # its answers are the question, no assumption
    return replace(recording, scenario=_with(scenario, key[0], key[1], found[3]), requests=asked)


def _arrival(recording: Recording, name: str) -> Arrival | None:
    scenario = recording.scenario
    known = {each.name: each for each in arrivals_of(scenario.definition, scenario.children)}
    arrival = known.get(_any_item(name))
    return arrival and arrival.of_item(name)


def _arriving(recording: Recording, arrival: Arrival, word: str) -> Recording:
    if word not in ARRIVALS:
        raise UnknownChangeError(f"{word!r} is no outcome of the {arrival.name}; use {', '.join(ARRIVALS)}")
    try:
        return with_arrival(recording, arrival, word)
    except ValueError as error:
        raise UnknownChangeError(str(error)) from None


def not_reached(played: Played, change: str) -> str:
    """Return why a change has changed nothing, as a sentence without its dot; "": the run has come to it."""
    call = change.rpartition("=")[0].strip().replace(":", " ", 1)
    if arrival := _arrival(played.recording, call):
        came = any(each.child == arrival.child and each.state == arrival.state for each in played.done)
        what = "the answer to" if arrival.step.waits is None else "the signal"
        return "" if came else f"not reached: the saga does not wait for {what} {arrival.name.partition(' ')[2]}"
    sent = {name if purpose == "do" else f"{purpose} {name}" for purpose, name in played.run.requests}
    return "" if call in sent else f"not reached: the saga makes no call {call}"


def _any_item(call: str) -> str:
    return re.sub(r"\d+\]", "0]", call)


def _with(scenario: Scenario, purpose: str, label: str, outcome: str) -> Scenario:
    """Return a scenario with one outcome changed. label: name of the step in the tree."""
    name, _, below = label.partition(".")
    step, *numbers = re.split(r"[\[\]]+", name.rstrip("]"))
    key = ("do" if below else purpose, step)
    tables = {table.name: table for table in scenario.children}

    def other(said: Any) -> Any:
        if not below:
            return tuple(OUTCOMES[outcome])
        starts = next(place.step.starts for place in places(scenario.definition.steps) if place.step.name == step)
        child = said or Scenario(definition=tables[starts or ""], data={})
        return _with(replace(child, children=scenario.children), purpose, below, outcome)

    said = _said(scenario.script.get(key, ()), list(map(int, numbers)), other)
    bodies = {each: body for each, body in scenario.bodies.items() if key != ("do", each) or outcome == "ok"}
    return replace(scenario, script={**scenario.script, key: said}, bodies=bodies)


def _said(said: Any, numbers: list[int], other: Callable[[Any], Any]) -> Any:
    """Return what the test says of a call, changed for the item with these numbers. other: returns the change."""
    if not numbers:
        return other(said)
    number, *inner = numbers
    each = list(said.of_item) if isinstance(said, Items) else [said] * (number + 1)
    each += [()] * (number + 1 - len(each))
    each[number] = _said(each[number], inner, other)
    return Items(tuple(each))


def effects(run: Run) -> list[StepEffect]:
    """Return each effect of a run, as its journal shows them. What the journal leaves open is unknown."""
    return effects_of(run.definition, run.state, run.journal, in_doubt=run.in_doubt)


def certain(run: Run) -> dict[str, str]:
    """Return the effects that are certain: the journal of the run and its participants agree."""
    kept, found = run.effects, dict[str, str]()
    for saga in run.tree():
        for each in effects(saga):
            label = saga.label(each.step.name)
            if kept.get(label) == each.effect:  # participants know each effect, so an unknown one is never equal
                found[label] = str(each.effect)
    return {label: found[label] for label in kept if label in found}
