"""A finding as a test for pytest, in the words of `machines.testing`."""

import re
from collections.abc import Iterator

from machines.saga import Saga
from machines.verify.events import Event
from machines.verify.replying import Truth
from machines.verify.search import Finding

#: Purpose of a call → method of a scenario that scripts its answers.
_SCRIPTS = {"do": "when", "again": "when", "read": "when", "undo": "when_undone", "probe": "when_probed"}
#: Answers of `machines.testing`.
_WORDS = {
    "accepted", "always", "busy", "died", "died_before", "down", "lost", "ok", "refused", "replies", "unheard",
}  # fmt: skip
#: Property → what the test asserts of the run.
_ASSERTIONS = {
    "once": "assert all(entry.done < 2 for entry in run.participants.ledger.values())",
    "all done": 'assert run.status != "completed" or "not done" not in run.effects.values()',
    "ends": 'assert run.status in ("completed", "compensated", "stuck")',
}
_LEFT = 'assert not run.took_effect or run.status not in ("compensated", "compensating")'


def test_of(definition: Saga, finding: Finding) -> str:
    """Return the source of a test that fails while the fault is there."""
    script, acts = _script(definition, finding)
    words = {word for each in script.values() for answer in each for word in re.findall(r"[a-z_]+(?=[(,)]|$)", answer)}
    names = sorted((words & _WORDS) | {"given"})
    calls = ""
    for method in dict.fromkeys(method for method, _ in script):
        answers = [f"{step}=[{', '.join(each)}]" for (of, step), each in script.items() if of == method]
        calls += f".{method}({', '.join(answers)})"
    lines = [
        "from machines.discovery import discover",
        f"from machines.testing import {', '.join(names)}",
        "",
        f'TABLE = discover().get("{definition.name}", {definition.version})',
        "",
        "",
        f"def test_{finding.broken.replace(' ', '_')}():",
        f"    # {finding.why}",
        f"    run = given(TABLE){calls}.run()",
        *(f"    {act}" for act in acts),
        f"    {_ASSERTIONS.get(finding.broken, _LEFT)}",
    ]
    return "\n".join(lines) + "\n"


def _script(definition: Saga, finding: Finding) -> tuple[dict[tuple[str, str], list[str]], list[str]]:
    """Return the answers to each call, by method and step, and what happens after the first run."""
    script: dict[tuple[str, str], list[str]] = {}
    acts: list[str] = []
    last: list[str] = []
    late = False
    for event, _ in finding.path:
        if event.kind == "late":
            late = True
        elif (answered := _answer(event)) is not None:
            purpose, answer = answered
            takes = f"(takes_s={definition.deadline_s + 1:g})" if late and "(" not in answer else ""
            last = script.setdefault((_SCRIPTS[purpose], event.step), [])
            last.append(answer + takes)
            late = late and not takes
        else:
            acts += _acts(event)
            if event.kind == "person" and last and last[-1].startswith("died"):
                last[-1] = f"{last[-1]}(rests=True)"  # the person acts before another process goes on
    if finding.path and finding.path[-1][0].kind != "arrives":
        acts += [f'run.arrives("{step}")' for step, _ in sorted(finding.path[-1][1].flight)]
    for answers in script.values():
        if answers[-1] in ("unheard", "lost"):  # of all attempts, the search tries the first and the last
            answers[-1] = f"always({answers[-1]})"
    return script, acts


def _answer(event: Event) -> tuple[str, str] | None:
    """Return what a call is for, and the answer of `machines.testing` that is nearest to the event; None: no call."""
    kind, _, purpose = event.kind.partition(":")
    if kind in ("dies before its call", "dies after its call"):
        return (event.what, "died_before") if event.what in _SCRIPTS else None
    if kind != "call" or purpose not in _SCRIPTS:
        return None
    return purpose, _of_reply(event, Truth(event.what))


def _of_reply(event: Event, truth: Truth) -> str:
    """Return the answer for a reply of the participant, or of the network."""
    acts, status = truth in (Truth.DONE, Truth.LEFT), event.reply.partition(" ")[0]
    if event.dies and not event.commits:
        answer = "died" if acts else "died_before"
    elif not status.isdecimal():
        answer = "lost" if acts else "down" if event.reply == "no connection" else "unheard"
    elif status == "200" and acts:
        answer = "ok"
    elif truth is Truth.ACCEPTED:
        answer = "accepted"
    elif event.reply == "503 with Retry-After":
        answer = "replies(503, acts=True)" if acts else "busy()"
    else:
        answer = f"replies({status}, acts={acts})"
    return answer


def _acts(event: Event) -> Iterator[str]:
    if event.kind == "person":
        yield f"run.{event.what}()"
    elif event.kind == "arrives" and event.what == "done":
        yield f'run.arrives("{event.step}")'
    elif event.kind == "signal":
        yield f'# {event.what} arrives here ({event.reply}): run.signal(…) or run.answer("{event.step}")'
    elif event.kind == "over":
        yield f"# the wait of {event.step} is over here: run.after(days=…)"
