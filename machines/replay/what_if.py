"""What if: a recording with one outcome changed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from machines.history import StepEffect, effects_of
from machines.replay.recording import Recording
from machines.saga import Saga
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
from machines.testing.scenario import places

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
_CHANGE = re.compile(r"(?:(undo|probe|poll)[ :])?(\w+(?:\[\d+\])*)=([\w-]+)")


class UnknownChangeError(ValueError):
    """The text is no change of an outcome. The message says what can be changed."""


def calls_of(definition: Saga) -> list[str]:
    """Return every call whose outcome can be changed: `pay`, `undo pay`, `probe pay`, `poll pay`, `reserve[0]`."""
    each = [(place.step.name + "[0]" * place.items, place.step) for place in places(definition.steps)]
    each = [(name, step) for name, step in each if step.starts is None]
    done = [name for name, step in each if step.call]
    undone = [f"undo {name}" for name, step in each if step.undo]
    probed = [f"probe {name}" for name, step in each if step.probe]
    return [*done, *undone, *probed, *(f"poll {name}" for name, step in each if step.poll)]


def changed(recording: Recording, change: str) -> Recording:
    """Return the recording with the outcome of one call changed: `pay=refused`, `undo reserve[1]=always-lost`."""
    definition = recording.scenario.definition
    found = _CHANGE.fullmatch(change.strip())
    call = f"{found[1]} {found[2]}" if found and found[1] else found[2] if found else ""
    if found is None or re.sub(r"\d+", "0", call) not in {re.sub(r"\d+", "0", each) for each in calls_of(definition)}:
        raise UnknownChangeError(
            f"{change!r} changes no call; write CALL=OUTCOME with {', '.join(calls_of(definition))}"
        )
    if found[3] not in OUTCOMES:
        raise UnknownChangeError(f"{found[3]!r} is no outcome; use {', '.join(OUTCOMES)}")
    step, *numbers = re.split(r"[\[\]]+", found[2].rstrip("]"))
    key = (found[1] or "do", step)
    scenario = recording.scenario
    bodies = {name: body for name, body in scenario.bodies.items() if key != ("do", name) or found[3] == "ok"}
    said = _said(scenario.script.get(key, ()), list(map(int, numbers)), tuple(OUTCOMES[found[3]]))
    script = {**scenario.script, key: said}
    asked = {**recording.requests, (key[0], found[2]): len(recording.moves) + 10_000}  # the question, no assumption
    return replace(recording, scenario=replace(scenario, script=script, bodies=bodies), requests=asked)


def _said(said: Any, numbers: list[int], answers: Any) -> Any:
    """Return what the test says of a call, with other answers for the item with these numbers."""
    if not numbers:
        return answers
    number, *inner = numbers
    each = list(said.of_item) if isinstance(said, Items) else [said] * (number + 1)
    each += [()] * (number + 1 - len(each))
    each[number] = _said(each[number], inner, answers)
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
