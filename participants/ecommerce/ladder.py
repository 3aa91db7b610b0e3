"""The steps of one saga as a ladder: down the actions, up the undos, each with what has become of it.

The orchestrator's own diagram has every state and every transition. The ladder has what a visitor can see at a
glance, beside the calls.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from participants.ecommerce.orchestrator import Definition
from participants.ecommerce.switches import TITLES

Entry = dict[str, Any]


class Look(StrEnum):
    """What has become of a box of the ladder. Each look has its own sign, words, line and colour."""

    AHEAD = "ahead"
    NOW = "now"
    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    UNDONE = "undone"
    STUCK = "stuck"
    LEFT_OUT = "left-out"


_SIGNS = {
    Look.AHEAD: "○", Look.NOW: "▶", Look.DONE: "✓", Look.REFUSED: "✗", Look.UNKNOWN: "?", Look.UNDONE: "↩",
    Look.STUCK: "!", Look.LEFT_OUT: "-",
}  # fmt: skip
_WORDS = {
    Look.AHEAD: "to come", Look.NOW: "now", Look.DONE: "done", Look.REFUSED: "refused",
    Look.UNKNOWN: "may have happened", Look.UNDONE: "done, then undone", Look.STUCK: "stuck: a person decides",
    Look.LEFT_OUT: "not done",
}  # fmt: skip

_IF_NEEDED = "if needed"


@dataclass(frozen=True, kw_only=True)
class Box:
    """One box of the ladder.

    state: the state of the saga in which this happens.
    title: the words of the table. name: its identifier, which is shown small.
    who: the participant; "" for an end.
    """

    state: str
    title: str
    name: str
    look: Look
    who: str = ""
    words: str = ""

    @property
    def sign(self) -> str:
        return _SIGNS[self.look]

    @property
    def status(self) -> str:
        return self.words or _WORDS[self.look]


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One step: its action, and its undo if it has one. pivot: there is no way back after this step."""

    do: Box
    undo: Box | None
    pivot: bool


@dataclass(frozen=True, kw_only=True)
class Ladder:
    compensated: Box
    rungs: list[Rung]
    completed: Box
    back: bool  # the saga goes back, or has gone back


def ladder(saga: dict[str, Any], definition: Definition) -> Ladder:
    state = saga["state"]
    phase = definition.phases.get(state, "forward")
    back = phase in {"undoing", "compensated"} or (phase == "stuck" and _stuck_undo(saga))
    rungs = [_rung(saga, definition, step, phase, back=back) for step in definition.participants]
    if any(rung.pivot and rung.do.look is Look.DONE for rung in rungs):
        rungs = [replace(rung, undo=_too_late(rung.undo)) for rung in rungs]
    return Ladder(
        compensated=_end(definition, definition.compensated, state, possible=back),
        rungs=rungs,
        completed=_end(definition, definition.completed, state, possible=not back),
        back=back,
    )


def _too_late(undo: Box | None) -> Box | None:
    """Return an undo behind the point of no return: it is never done, so it does not wait for a need."""
    waits = undo is not None and undo.words == _IF_NEEDED
    return replace(undo, words="not possible any more") if undo is not None and waits else undo


def _rung(saga: dict[str, Any], definition: Definition, step: str, phase: str, *, back: bool) -> Rung:
    entries = [entry for entry in saga["journal"] if entry["step"] == step]
    here, undoing = definition.steps.get(saga["state"]) == step, definition.undoing_state(step)
    done = _done([entry for entry in entries if entry["direction"] != "undo"])
    undone = any(
        entry["direction"] == "undo" and (entry["outcome"] == "succeeded" or entry["trigger"] == "resolve")
        for entry in entries
    )
    who = TITLES.get(definition.participants[step], definition.participants[step])
    ended = phase in {"completed", "compensated"}
    forward = here and not back and not ended
    look = Look.UNDONE if undone else done
    if forward:
        look = Look.STUCK if phase == "stuck" else Look.NOW
    elif look is Look.AHEAD and (back or ended):
        look = Look.LEFT_OUT
    words = "undone, whether it happened or not" if undone and done is Look.UNKNOWN else ""
    if look is Look.DONE and any(entry["trigger"] == "resolve" for entry in entries):
        words = "done by hand"
    do = Box(
        state=saga["state"] if forward else definition.forward_state(step), title=definition.action(step), name=step,
        look=look, who=who, words=words,
    )  # fmt: skip
    undo = Box(
        state=saga["state"] if here and back and not ended else undoing, title=definition.undo(step), name=undoing,
        who=who, **_undo_look(done, undone=undone, here=here and not ended, back=back, phase=phase),
    ) if undoing else None  # fmt: skip
    return Rung(do=do, undo=undo, pivot=definition.kinds.get(step) == "pivot")


def _done(entries: Sequence[Entry]) -> Look:
    """Return what the journal says about an action."""
    for entry in reversed(entries):
        if entry["outcome"] == "succeeded" or entry["trigger"] == "resolve":
            return Look.DONE
        if entry["trigger"] == "refused":
            return Look.REFUSED
        if entry["trigger"] in {"exhausted", "refused_in_doubt"}:
            return Look.UNKNOWN
    return Look.AHEAD


def _undo_look(done: Look, *, undone: bool, here: bool, back: bool, phase: str) -> dict[str, Any]:
    if undone:
        return {"look": Look.DONE}
    if here and back:
        return {"look": Look.STUCK if phase == "stuck" else Look.NOW}
    if back and done in {Look.DONE, Look.UNKNOWN} and phase != "compensated":
        return {"look": Look.AHEAD}
    if back or phase == "completed":
        return {"look": Look.LEFT_OUT, "words": "not needed"}
    return {"look": Look.LEFT_OUT, "words": _IF_NEEDED}


def _stuck_undo(saga: dict[str, Any]) -> bool:
    last = next((entry for entry in reversed(saga["journal"]) if entry["step"]), None)
    return bool(last and last["direction"] == "undo")


def _end(definition: Definition, name: str, state: str, *, possible: bool) -> Box:
    look = Look.DONE if name == state else Look.AHEAD if possible else Look.LEFT_OUT
    words = "" if name != state else "the end"
    if look is Look.LEFT_OUT:
        words = "not on this way"
    return Box(state=name, title=definition.state(name) or name, name=name, look=look, words=words)
