"""A finding as a test for pytest: in the words of `machines.testing`, or as the path itself."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

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
from machines.testing.written import answer_source, literal, words_of
from machines.verify.design_source import following, following_flaw, scripted_flaw
from machines.verify.events import Event
from machines.verify.kin_source import SAME_END, answers_of, given_source
from machines.verify.meanings import UNTRUE, Truth
from machines.verify.properties import CAN_COMPLETE
from machines.verify.replying import ASKS_TO_WAIT, NO_CONNECTION
from machines.verify.search import Finding
from machines.verify.words import sentence

#: Purpose of a call → method of a scenario that scripts its answers.
_SCRIPTS = {"do": "when", "again": "when", "read": "when", "undo": "when_undone", "probe": "when_probed"}
_DISCOVER = "from machines.discovery import discover\n"
#: Kinds of events for which `machines.testing` has no words.
_WITHOUT_WORDS = frozenset({"signal", "child by hand", "sent back", "over", "wait", "begins"})
#: Replies for which it has words, besides the statuses.
_REPLIES = frozenset({"no answer", NO_CONNECTION, ASKS_TO_WAIT})
#: Property → what the test asserts of the run.
_ASSERTIONS = {
    "once": "assert all(entry.done < 2 for entry in run.participants.ledger.values())",
    "all done": 'assert run.status != "completed" or "not done" not in run.effects.values()',
    "no lost end": 'assert run.status in ("completed", "compensated", "stuck")',
    "ends": 'assert run.status in ("completed", "compensated", "stuck")',
}
#: Properties after which a saga may also be completed wrongly.
_GUESSES = ("no guess", UNTRUE)
_LEFT = 'assert not run.took_effect or run.status not in ("compensated", "compensating")'


def test_of(definition: Saga, finding: Finding, registry: Registry, *, as_child: bool) -> str:
    """Return the source of a test that fails while the fault is there: in the words of an author, where they say it.

    Otherwise the test follows the path itself. registry: all tables. as_child: the fault is that of a child.
    """
    if finding.sentences:
        source = scripted_flaw(definition, finding)
        return source if source is not None and _fails(source, registry) else following_flaw(definition, finding)
    if finding.broken == CAN_COMPLETE:
        return _searching(definition, finding)
    if not (as_child or any(_has_no_words(definition, event) for event, _ in finding.path)):
        scripted = _scripted(definition, finding, registry)
        if _fails(scripted, registry):
            return scripted
    return _following(definition, finding, as_child=as_child)


def _has_no_words(definition: Saga, event: Event) -> bool:
    """Return True for an event that the words of `machines.testing` cannot say exactly."""
    if event.kind == "person":
        return definition.starts_others or bool(event.reply)
    known = event.reply.isdecimal() or event.reply in _REPLIES or not event.kind.startswith("call:")
    return event.kind in _WITHOUT_WORDS or not known


def _fails(source: str, registry: Registry) -> bool:
    """Return True when a test fails because of what it asserts."""
    defined: dict[str, Any] = {"discover": lambda: registry}
    exec(compile(source.removeprefix(_DISCOVER), "test.py", "exec"), defined)  # noqa: S102  it was written here
    try:
        next(each for name, each in defined.items() if name.startswith("test_"))()
    except AssertionError:
        return True
    except Exception:  # noqa: BLE001  the words cannot say what the path says
        return False
    return False


def _following(definition: Saga, finding: Finding, *, as_child: bool) -> str:
    """Return the source of a test that follows the path of a finding."""
    options = ["registry=TABLES", *(["as_child=True"] if as_child and not definition.is_branch else [])]
    options += [f"repeats_from={finding.repeats_from + 1}"] if finding.repeats_from is not None else []
    return following(definition, finding, (sentence(event) for event, _ in finding.path), options)


def _searching(definition: Saga, finding: Finding) -> str:
    """Return the source of a test that searches the table again: no path shows what no path reaches."""
    lines = [
        _DISCOVER.rstrip(),
        "from machines.verify import verify",
        "",
        "TABLES = discover()",
        "",
        "",
        f"def test_{finding.broken.replace(' ', '_')}():",
        f"    # {finding.why}",
        f"    result = verify(TABLES.get({literal(definition.name)}, {definition.version}), registry=TABLES)",
        "    assert result.definition.completed not in result.unreached",
    ]
    return "\n".join(lines) + "\n"


def _scripted(definition: Saga, finding: Finding, registry: Registry) -> str:
    """Return the source of a test in the words of `machines.testing`."""
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
        _DISCOVER.rstrip(),
        f"from machines.testing import {', '.join(sorted(names))}",
        "",
        f'TABLE = discover().get("{definition.name}", {definition.version})',
        "",
        "",
        f"def test_{finding.broken.replace(' ', '_')}():",
        f"    # {finding.why}",
        f"    run = given({given_source(definition, finding)}){calls}.allowing_unused().run()",
        *(f"    {act}" for act in acts),
        *(f"    {each}" for each in _assertions(definition, finding)),
    ]
    return "\n".join(lines) + "\n"


def _assertions(definition: Saga, finding: Finding) -> Sequence[str]:
    if definition.starts_others and finding.broken != "no lost end":
        return [f"assert {SAME_END}"]
    if finding.broken in _ASSERTIONS:
        return [_ASSERTIONS[finding.broken]]
    return [_LEFT, _ASSERTIONS["all done"]] if finding.broken in _GUESSES else [_LEFT]


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
        return lost if acts else down if event.reply == NO_CONNECTION else unheard
    if status == "200" and acts:
        return ok
    if truth is Truth.ACCEPTED:
        return accepted
    if event.reply == ASKS_TO_WAIT:
        return replies(503, acts=True) if acts else busy()
    return replies(int(status), acts=acts)


def _acts(event: Event) -> Iterator[str]:
    if event.kind == "person":
        yield f"run.{event.what}()"
    elif event.kind == "arrives" and event.what == "done":
        yield f'run.arrives("{event.step}")'
