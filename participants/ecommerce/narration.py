"""The narration of a saga for a customer: each call, its outcome, and the consequence."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from participants.ecommerce.orchestrator import Definition
from participants.ecommerce.switches import TITLES

#: The meaning of each state in a participant's ledger.
LEDGER: Mapping[str, str] = {
    "done": "done",
    "undone": "done, then undone",
    "refused": "refused, nothing changed",
    "tombstone": "undone before it came; if it still comes, it is refused",
}

_STATUS = re.compile(r"^[1-5][0-9]{2} ")
_OUTCOMES = {"succeeded": "done", "refused": "refused", "unknown": "no answer", "not_sent": "not sent"}
#: Trigger of the move after a call that did not succeed → its consequence, in a customer's words.
_CONSEQUENCES = {
    "retry": "It may have happened, so the same call goes out again with the same key",
    "defer": "It did not happen, and is tried again in a moment",
    "exhausted": "It may have happened, so it is undone as well",
}
#: The same for a step that reads, and so changes nothing.
_CONSEQUENCES_OF_A_READ = {
    "retry": "Reading changes nothing, so it is asked again",
    "defer": "It is asked again in a moment",
    "exhausted": "Reading changes nothing",
}
_TONES = {"completed": "good", "compensated": "undone", "stuck": "stuck", "undoing": "undoing"}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of the saga."""

    who: str  # the participant, in a customer's words
    what: str  # the action, in the words of the table
    step: str
    undoes: bool
    outcome: str  # done, refused, no answer, not sent or under way
    attempt: int
    reason: str = ""
    duration_ms: float | None = None
    taken_over: bool = False  # True when another process of the orchestrator made the previous call

    @property
    def look(self) -> str:
        return self.outcome.replace(" ", "-")


@dataclass(frozen=True, kw_only=True)
class Narration:
    """The narration of one saga."""

    state: str
    title: str  # the state in the words of the table; "": it has none
    headline: str
    tone: str  # going, undoing, good, undone or stuck
    mark: str  # changes with every move of the saga
    calls: list[Call] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return self.tone in {"good", "undone"}


def narrate(saga: dict[str, Any], definition: Definition) -> Narration:
    calls, engine = [], ""
    for entry in saga["journal"]:
        if not entry["outcome"]:
            continue
        before, engine = engine, entry["actor"]
        calls.append(_call(definition, entry, taken_over=bool(before) and before != engine))
    phase = definition.phases.get(saga["state"], "forward")
    under_way = _under_way(saga, definition, phase)
    return Narration(
        state=saga["state"],
        title=definition.state(saga["state"]),
        headline=_headline(saga, definition, phase, under_way),
        tone=_TONES.get(phase, "going"),
        mark=f"{len(saga['journal'])}-{saga['state']}",
        calls=[*calls, under_way] if under_way else calls,
    )


def _call(definition: Definition, entry: dict[str, Any], *, taken_over: bool) -> Call:
    return Call(
        who=_who(definition, entry["step"]),
        what=action_words(definition, entry["step"], entry["direction"]),
        step=entry["step"],
        undoes=entry["direction"] == "undo",
        outcome=_OUTCOMES[entry["outcome"]],
        attempt=entry["attempt"] or 1,
        reason=(entry["reason"] or "") if entry["outcome"] != "succeeded" else "",
        duration_ms=entry["duration_ms"],
        taken_over=taken_over,
    )


def _under_way(saga: dict[str, Any], definition: Definition, phase: str) -> Call | None:
    step = definition.steps.get(saga["state"])
    if phase not in {"forward", "undoing"} or step is None or saga["status"] == "pending":
        return None
    direction = "undo" if phase == "undoing" else "do"
    attempts = [e for e in saga["journal"] if e["outcome"] and (e["step"], e["direction"]) == (step, direction)]
    return Call(
        who=_who(definition, step),
        what=action_words(definition, step, direction),
        step=step,
        undoes=phase == "undoing",
        outcome="under way",
        attempt=(attempts[-1]["attempt"] or 0) + 1 if attempts else 1,
    )


def _headline(saga: dict[str, Any], definition: Definition, phase: str, under_way: Call | None) -> str:
    """Return the latest event in one or two sentences."""
    which = "The return" if saga["type"] == "return_saga" else "The order"
    why = _failure(saga, definition)
    if under_way is None:
        resting = {
            "completed": f"{which} is confirmed: {_by_hand(saga, definition) or 'every step is done'}.",
            "compensated": f"{which} is cancelled. {why}{_undone(saga, definition)}",
            "stuck": f"{which} is stuck: {_stuck(saga, definition)}, so a person decides.",
        }
        return resting.get(phase, f"{which} is about to begin.")
    last = next((entry for entry in reversed(saga["journal"]) if entry["outcome"]), None)
    what = under_way.what[:1].lower() + under_way.what[1:]
    if last and last["trigger"] in ("retry", "defer"):
        return f"{under_way.who}: {_plain(last['reason'])}. {_consequence(definition, last)}."
    if phase == "undoing":
        return f"{why}Going back: {under_way.who} {what}."
    return f"{under_way.who} is asked to {what} …"


def _stuck(saga: dict[str, Any], definition: Definition) -> str:
    """Return why the saga is stuck: a refusal where there is no way back, or a call without a clear answer."""
    last = next((entry for entry in reversed(saga["journal"]) if entry["outcome"]), None)
    if last and last["outcome"] == "refused":
        why = _plain(last["reason"])
        return f"{_who(definition, last['step'])} refused{f' ({why})' if why else ''}, and there is no way back"
    return "its outcome is in doubt"


def _failure(saga: dict[str, Any], definition: Definition) -> str:
    """Return the reason for the compensation as a sentence, or an empty text."""
    for entry in saga["journal"]:
        if entry["trigger"] in ("refused", "exhausted", "expire", "cancel") and entry["direction"] != "undo":
            why = _plain(entry["reason"]) or "It was called off"
            if entry["trigger"] == "refused":
                return f"{_who(definition, entry['step'])} refused: {why}. "
            return f"{why}. {_consequence(definition, entry)}. " if entry["trigger"] == "exhausted" else f"{why}. "
    return ""


def _consequence(definition: Definition, entry: dict[str, Any]) -> str:
    """Return the consequence of a call that did not succeed. A pivot has no undo, so nobody knows its outcome."""
    kind = definition.kinds.get(entry["step"])
    if entry["trigger"] == "exhausted" and kind == "pivot":
        return "Nobody knows whether it happened"
    return (_CONSEQUENCES_OF_A_READ if kind == "read" else _CONSEQUENCES)[entry["trigger"]]


def _by_hand(saga: dict[str, Any], definition: Definition) -> str:
    """Return which steps a person marked as done, or an empty text."""
    steps = [_doing(definition, entry["step"]) for entry in saga["journal"] if entry["trigger"] == "resolve"]
    return f"a person saw to it by hand ({', '.join(steps)})" if steps else ""


def _undone(saga: dict[str, Any], definition: Definition) -> str:
    """Return what is undone at the end of a cancelled saga. A pivot without a clear answer stays unknown."""
    unclear = [
        _doing(definition, entry["step"]) for entry in saga["journal"]
        if entry["trigger"] in ("exhausted", "refused_in_doubt") and definition.kinds.get(entry["step"]) == "pivot"
    ]  # fmt: skip
    if unclear:
        return f"Still unknown: {', '.join(dict.fromkeys(unclear))}. Everything else that had been done is undone."
    return "Everything that had been done is undone."


def _plain(reason: str | None) -> str:
    """Return the reason without the HTTP status, and with a capital letter."""
    text = _STATUS.sub("", reason or "").rstrip(".")
    return text[:1].upper() + text[1:]


def _who(definition: Definition, step: str) -> str:
    name = definition.participants.get(step, step)
    return TITLES.get(name, name)


def action_words(definition: Definition, step: str, direction: str) -> str:
    return definition.undo(step) if direction == "undo" else definition.action(step)


def _doing(definition: Definition, step: str) -> str:
    """Return what a step does, for the middle of a sentence."""
    words = definition.action(step)
    return words if words == step else words[:1].lower() + words[1:]
