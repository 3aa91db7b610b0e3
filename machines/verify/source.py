"""A finding as a test for pytest, in the words of `machines.testing`."""

import re
from collections.abc import Iterator

from machines.registry import Registry
from machines.saga import Saga
from machines.testing import (
    Always,
    Answer,
    accepted,
    always,
    busy,
    died,
    died_before,
    down,
    lost,
    ok,
    replies,
    unheard,
)
from machines.testing.written import answer_source, words_of
from machines.verify.events import Event
from machines.verify.kin_source import SAME_END, answers_of, given_source
from machines.verify.meanings import Truth
from machines.verify.search import Finding

#: Purpose of a call → method of a scenario that scripts its answers.
_SCRIPTS = {"do": "when", "again": "when", "read": "when", "undo": "when_undone", "probe": "when_probed"}
#: Property → what the test asserts of the run.
_ASSERTIONS = {
    "once": "assert all(entry.done < 2 for entry in run.participants.ledger.values())",
    "all done": 'assert run.status != "completed" or "not done" not in run.effects.values()',
    "no lost end": 'assert run.status in ("completed", "compensated", "stuck")',
    "ends": 'assert run.status in ("completed", "compensated", "stuck")',
}
_LEFT = 'assert not run.took_effect or run.status not in ("compensated", "compensating")'


def test_of(definition: Saga, finding: Finding, registry: Registry) -> str:
    """Return the source of a test that fails while the fault is there. registry: the tables of its children."""
    script, acts = _script(definition, finding)
    written = {call: f"[{', '.join(map(answer_source, each))}]" for call, each in script.items()}
    written |= {("when", step): answers for step, answers in answers_of(definition, finding, registry)}
    names = {"given"}.union(*(words_of(answer) for each in script.values() for answer in each))
    names |= {
        word for word in ("items", "ok", "refused") for each in written.values() if re.search(rf"\b{word}\b", each)
    }
    calls = ""
    for method in dict.fromkeys(method for method, _ in written):
        answers = [f"{step}={each}" for (of, step), each in written.items() if of == method]
        calls += f".{method}({', '.join(answers)})"
    lines = [
        "from machines.discovery import discover",
        f"from machines.testing import {', '.join(sorted(names))}",
        "",
        f'TABLE = discover().get("{definition.name}", {definition.version})',
        "",
        "",
        f"def test_{finding.broken.replace(' ', '_')}():",
        f"    # {finding.why}",
        f"    run = given({given_source(definition, finding)}){calls}.run()",
        *(f"    {act}" for act in acts),
        f"    {_assertion(definition, finding)}",
    ]
    return "\n".join(lines) + "\n"


def _assertion(definition: Saga, finding: Finding) -> str:
    if definition.starts_others and finding.broken != "no lost end":
        return f"assert {SAME_END}"
    return _ASSERTIONS.get(finding.broken, _LEFT)


def _script(definition: Saga, finding: Finding) -> tuple[dict[tuple[str, str], list[Answer | Always]], list[str]]:
    """Return the answers to each call, by method and step, and what happens after the first run."""
    script: dict[tuple[str, str], list[Answer]] = {}
    acts: list[str] = []
    last: list[Answer] = []
    late = False
    for event, _ in finding.path:
        if event.kind == "late":
            late = True
        elif (answered := _answer(event)) is not None:
            purpose, answer = answered
            last = script.setdefault((_SCRIPTS[purpose], event.step), [])
            in_time = not late or "(" in answer.name
            last.append(answer if in_time else answer(takes_s=definition.deadline_s + 1))
            late = late and in_time
        else:
            acts += _acts(event)
            if event.kind == "person" and last and last[-1].dies:
                last[-1] = last[-1](rests=True)  # the person acts before another process goes on
    if finding.path and finding.path[-1][0].kind != "arrives":
        acts += [f'run.arrives("{step}")' for step, _ in sorted(finding.path[-1][1].flight)]
    # Of all attempts, the search tries the first and the last.
    ends = {call: always(each[-1]) if each[-1] in (unheard, lost) else each[-1] for call, each in script.items()}
    return {call: [*each[:-1], ends[call]] for call, each in script.items()}, acts


def _answer(event: Event) -> tuple[str, Answer] | None:
    """Return what a call is for, and the answer of `machines.testing` that is nearest to the event; None: no call."""
    kind, _, purpose = event.kind.partition(":")
    if kind in ("dies before its call", "dies after its call"):
        return (event.what, died_before) if event.what in _SCRIPTS else None
    if kind != "call" or purpose not in _SCRIPTS:
        return None
    return purpose, _of_reply(event, Truth(event.what))


def _of_reply(event: Event, truth: Truth) -> Answer:
    """Return the answer for a reply of the participant, or of the network."""
    acts, status = truth in (Truth.DONE, Truth.LEFT), event.reply.partition(" ")[0]
    if event.dies and not event.commits:
        return died if acts else died_before
    if not status.isdecimal():
        return lost if acts else down if event.reply == "no connection" else unheard
    if status == "200" and acts:
        return ok
    if truth is Truth.ACCEPTED:
        return accepted
    if event.reply == "503 with Retry-After":
        return replies(503, acts=True) if acts else busy()
    return replies(int(status), acts=acts)


def _acts(event: Event) -> Iterator[str]:
    if event.kind == "person":
        yield f"run.{event.what}()"
    elif event.kind == "arrives" and event.what == "done":
        yield f'run.arrives("{event.step}")'
    elif event.kind == "signal":
        yield f'# {event.what} arrives here ({event.reply}): run.signal(…) or run.answer("{event.step}")'
    elif event.kind == "child by hand":
        yield f"# a person acts on child {event.reply} of {event.step} here, and it {event.what}: run.child(…)"
    elif event.kind == "sent back":
        yield "# the parent asks the saga to compensate here: test it with its parent"
    elif event.kind == "over":
        yield f"# the wait of {event.step} is over here: run.after(days=…)"
