"""What if: a recording with one outcome changed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from machines.history import StepEffect, effects_of
from machines.replay.recording import Recording
from machines.saga import Saga
from machines.testing import (
    Always,
    Answer,
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
_CHANGE = re.compile(r"(?:(undo|probe|poll)[ :])?(\w+)=([\w-]+)")


class UnknownChangeError(ValueError):
    """The text is no change of an outcome. The message says what can be changed."""


def calls_of(definition: Saga) -> list[str]:
    """Return every call whose outcome can be changed: `pay`, `undo pay`, `probe pay`, `poll pay`."""
    each = [(step.name, step) for step in definition.steps]
    done = [name for name, step in each if step.call]
    undone = [f"undo {name}" for name, step in each if step.undo]
    probed = [f"probe {name}" for name, step in each if step.probe]
    return [*done, *undone, *probed, *(f"poll {name}" for name, step in each if step.poll)]


def changed(recording: Recording, change: str) -> Recording:
    """Return the recording with the outcome of one call changed: `pay=refused`, `undo pay=always-lost`."""
    definition = recording.scenario.definition
    found = _CHANGE.fullmatch(change.strip())
    call = f"{found[1]} {found[2]}" if found and found[1] else found[2] if found else ""
    if found is None or call not in calls_of(definition):
        raise UnknownChangeError(
            f"{change!r} changes no call; write CALL=OUTCOME with {', '.join(calls_of(definition))}"
        )
    if found[3] not in OUTCOMES:
        raise UnknownChangeError(f"{found[3]!r} is no outcome; use {', '.join(OUTCOMES)}")
    key = (found[1] or "do", found[2])
    scenario = recording.scenario
    bodies = {step: body for step, body in scenario.bodies.items() if key != ("do", step) or found[3] == "ok"}
    script = {**scenario.script, key: tuple(OUTCOMES[found[3]])}
    asked = {**recording.requests, key: len(recording.moves) + 10_000}  # its answers are the question, no assumption
    return replace(recording, scenario=replace(scenario, script=script, bodies=bodies), requests=asked)


def effects(run: Run) -> list[StepEffect]:
    """Return each effect of a run, as its journal shows them. What the journal leaves open is unknown."""
    return effects_of(run.definition, run.state, run.journal, in_doubt=run.in_doubt)


def certain(run: Run) -> dict[str, str]:
    """Return the effects that are certain: the journal of the run and its participants agree."""
    kept = run.effects
    return {
        each.step.name: str(each.effect)
        for each in effects(run)
        if kept[each.step.name] == each.effect  # participants know each effect, so an unknown one is never equal
    }
