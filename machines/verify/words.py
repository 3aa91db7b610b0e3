"""A counterexample in plain words: its events as numbered sentences."""

from machines.verify.events import Event
from machines.verify.meanings import Truth
from machines.verify.search import Finding, Result

CALLS = {"do": "call", "again": "repeated call", "undo": "undo", "probe": "probe", "poll": "poll", "read": "read"}
_DONE = {
    Truth.DONE: "does it", Truth.REFUSED: "refuses it", Truth.LEFT: "refuses it, but leaves something behind",
    Truth.ACCEPTED: "accepts it for later", Truth.BUSY: "has done it before", Truth.UNKNOWN: "cannot tell yet",
}  # fmt: skip
_FOUND = {
    Truth.DONE: " (it was done)", Truth.REFUSED: " (it was not done)",
    Truth.UNSEEN: " (it was done, and the probe does not find it yet)",
}  # fmt: skip
SENTENCES = {
    "inserted": "The parent starts the saga as its child.",
    "late": "The deadline of the saga is over.",
    "stop": "The process is asked to stop.",
    "dies before its call": "The process dies before it sends the {what} of {step}.",
    "dies after its call": "The process dies just after it has sent the {what} of {step}.",
    "not built": "The {what} of {step} cannot be built, so it is not sent.",
    "dies before its commit": "The process dies before it commits {what}.",
    "claim": "Another process claims the saga in {what}.",
    "arrives": "The delayed call of {step} arrives late, and is {what}.",
    "decides": "The participant of {step} has decided: {what}.",
    "signal": "{what} arrives for {step} ({reply}).",
    "wait": "The process goes on with {step}.",
    "begins": "The start time of the saga has come.",
    "over": "The time of the wait of {step} is over.",
    "child": "Child {reply} of {step} {what}.",
    "child by hand": "A person acts on child {reply} of {step}; it {what}.",
    "sent back": "The parent asks the saga to compensate.",
    "person": "A person requests: {what}{of}.",
    "incomplete": "A person resolves {step} with a reply that has no {what}, and this is accepted.",
}


def lines_of(finding: Finding) -> list[str]:
    """Return the path of a finding as numbered lines."""
    lines = [f"{number:>4}. {each}" for number, each in enumerate(finding.sentences, 1)]
    for number, (event, _) in enumerate(finding.path, 1):
        if number - 1 == finding.repeats_from:
            lines.append("    From here the events repeat for ever:")
        lines.append(f"{number:>4}. {sentence(event)}")
    return lines


def sentence(event: Event) -> str:
    """Return an event as a sentence."""
    words = [_first(event), *(_commit(state) for state in event.commits)]
    if event.dies:
        words.append("The process dies before the next commit.")
    return " ".join(words)


def _first(event: Event) -> str:
    kind, _, purpose = event.kind.partition(":")
    if kind == "call":
        return _call(event, CALLS[purpose])
    if kind in ("commits", "releases"):
        return _commit(event.what if kind == "commits" else f"-{event.what}")
    return SENTENCES[kind].format(
        step=event.step,
        what=CALLS.get(event.what, event.what),
        reply=event.reply,
        of=(f" ({event.step})" if event.step else "") + (f"; {event.reply}" if event.reply else ""),
    )


def _call(event: Event, call: str) -> str:
    truth = Truth(event.what)
    if truth is Truth.UNTOUCHED:
        if event.reply == "no answer":
            return f"The {call} of {event.step} is sent; it is delayed, and no answer comes."
        return f"The {call} of {event.step} is not carried out: {event.reply}."
    if call in ("probe", "poll", "read"):
        return f"The {call} of {event.step} is answered: {event.reply}{_found(truth, call)}."
    return f"The {call} of {event.step} is sent; the participant {_DONE[truth]}, and the process gets: {event.reply}."


def _found(truth: Truth, call: str) -> str:
    if call == "read":
        return ""
    return _FOUND.get(truth, " (not decided)")


def _commit(state: str) -> str:
    if state.startswith("-"):
        return f"The saga is stored in {state[1:]} and released."
    return f"The saga is stored in {state}."


def summary(result: Result) -> str:
    """Return the size of a search in one line."""
    found = f"{len(result.faults)} fault{'' if len(result.faults) == 1 else 's'}"
    if not result.complete:
        found = "NOT COMPLETE: the bound of states was reached"
    size = f"{result.states:,} states, {result.transitions:,} transitions, {result.seconds:.1f} s"
    role = ", as a child" if result.as_child and not result.definition.is_branch else ""
    return f"{result.definition}{role}: {found}; {size}"
