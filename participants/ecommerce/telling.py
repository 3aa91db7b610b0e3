"""A saga told to a customer: what is being asked of whom, what came of each call, and what that means."""

import re
from dataclasses import dataclass, field
from typing import Any

from participants.ecommerce.orchestrator import Definition
from participants.ecommerce.switches import PARTICIPANTS
from participants.ecommerce.words import words

_STATUS = re.compile(r"^[1-5][0-9]{2} ")
_OUTCOMES = {"succeeded": "done", "refused": "refused", "unknown": "no answer", "not_sent": "not sent"}
#: What follows the answer of a call that did not simply succeed.
_MEANS = {
    "retry": "It may have happened, so the same call goes out again with the same key",
    "defer": "It did not happen, and is tried again in a moment",
    "exhausted": "It may have happened, so it is undone as well",
}
_TONES = {"completed": "good", "compensated": "undone", "stuck": "stuck", "undoing": "undoing"}


@dataclass(frozen=True, kw_only=True)
class Told:
    """One call.

    outcome: done, refused, no answer or not sent; under way while there is none.
    taken_over: the process that made the call before this one is gone.
    """

    who: str
    what: str
    step: str
    undoes: bool
    outcome: str
    attempt: int
    reason: str = ""
    duration_ms: float | None = None
    taken_over: bool = False

    @property
    def look(self) -> str:
        return self.outcome.replace(" ", "-")


@dataclass(frozen=True, kw_only=True)
class Telling:
    """`mark` changes whenever the saga has moved. tone: going, undoing, good, undone or stuck."""

    state: str
    headline: str
    tone: str
    mark: str
    calls: list[Told] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return self.tone in {"good", "undone"}


def tell(saga: dict[str, Any], definition: Definition) -> Telling:
    calls, engine = [], ""
    for entry in saga["journal"]:
        if not entry["outcome"]:
            continue
        before, engine = engine, entry["actor"]
        calls.append(_call(definition, entry, taken_over=bool(before) and before != engine))
    phase = definition.phases.get(saga["state"], "forward")
    under_way = _under_way(saga, definition, phase)
    return Telling(
        state=saga["state"],
        headline=_headline(saga, definition, phase, under_way),
        tone=_TONES.get(phase, "going"),
        mark=f"{len(saga['journal'])}-{saga['state']}",
        calls=[*calls, under_way] if under_way else calls,
    )


def _call(definition: Definition, entry: dict[str, Any], *, taken_over: bool) -> Told:
    return Told(
        who=_who(definition, entry["step"]),
        what=words(entry["step"], entry["direction"]),
        step=entry["step"],
        undoes=entry["direction"] == "undo",
        outcome=_OUTCOMES[entry["outcome"]],
        attempt=entry["attempt"] or 1,
        reason=(entry["reason"] or "") if entry["outcome"] != "succeeded" else "",
        duration_ms=entry["duration_ms"],
        taken_over=taken_over,
    )


def _under_way(saga: dict[str, Any], definition: Definition, phase: str) -> Told | None:
    step = definition.steps.get(saga["state"])
    if phase not in {"forward", "undoing"} or step is None or saga["status"] == "pending":
        return None
    direction = "undo" if phase == "undoing" else "do"
    attempts = [e for e in saga["journal"] if e["outcome"] and (e["step"], e["direction"]) == (step, direction)]
    return Told(
        who=_who(definition, step),
        what=words(step, direction),
        step=step,
        undoes=phase == "undoing",
        outcome="under way",
        attempt=(attempts[-1]["attempt"] or 0) + 1 if attempts else 1,
    )


def _headline(saga: dict[str, Any], definition: Definition, phase: str, under_way: Told | None) -> str:
    """Return what just happened, in a sentence or two."""
    what = "The return" if saga["type"] == "return_saga" else "The order"
    why = _failure(saga, definition)
    if under_way is None:
        resting = {
            "completed": f"{what} is confirmed: every step is done.",
            "compensated": f"{what} is cancelled. {why}Everything that had been done is undone.",
            "stuck": f"{what} is stuck: nobody can know what is right here, so a person decides.",
        }
        return resting.get(phase, f"{what} is about to begin.")
    last = next((entry for entry in reversed(saga["journal"]) if entry["outcome"]), None)
    asked = f"{under_way.who} is asked to {under_way.what}"
    if last and last["trigger"] in ("retry", "defer"):
        return f"{under_way.who}: {_plain(last['reason'])}. {_MEANS[last['trigger']]}."
    if phase == "undoing":
        return f"{why}Going back: {asked}."
    return f"{asked} …"


def _failure(saga: dict[str, Any], definition: Definition) -> str:
    """Why it turned back."""
    for entry in saga["journal"]:
        if entry["trigger"] in ("refused", "exhausted", "expire", "cancel") and entry["direction"] != "undo":
            why = _plain(entry["reason"]) or "It was called off"
            if entry["trigger"] == "refused":
                return f"{_who(definition, entry['step'])} refused: {why}. "
            return f"{why}. {_MEANS['exhausted']}. " if entry["trigger"] == "exhausted" else f"{why}. "
    return ""


def _plain(reason: str | None) -> str:
    """Return the reason as a person would say it, without the reply's status."""
    text = _STATUS.sub("", reason or "").rstrip(".")
    return text[:1].upper() + text[1:]


def _who(definition: Definition, step: str) -> str:
    name = definition.participants.get(step, step)
    return PARTICIPANTS.get(name, name)
