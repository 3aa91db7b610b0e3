"""What a test says and its saga does not use: answers that no request gets, and signals that no wait takes.

A test of a refusal that never comes proves nothing. So a run fails as soon as nothing can use such an answer any more.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from machines.signals import can_still_wait, states_ahead, step_waiting_for
from machines.testing.answers import Always, Answer, Items
from machines.testing.member import Answers, Member
from machines.transitions import State

if TYPE_CHECKING:
    from machines.testing.family import Family

_PURPOSES = {"do": "", "undo": "undo ", "probe": "probe ", "poll": "poll "}
#: Most answers that an error shows.
_MOST_SHOWN = 5
_HINT = "leave out what is not used, or write .allowing_unused() when it is meant"
#: The trees of this test with answers that a later method of the test may still use; the pytest plug-in looks at them
#: after the test.
UNDECIDED: deque["Family"] = deque(maxlen=100)


class NotUsedError(Exception):
    """The test says something that its saga does not use: an answer, or a signal."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a test says of one call."""

    #: do, undo, probe or poll.
    purpose: str
    step: str
    #: Name of the call in the words of `run.calls`.
    call: str
    answers: tuple[Answer | Always, ...]

    @property
    def key(self) -> tuple[str, str, int]:
        return key_of(self.purpose, self.step, self.answers)


@dataclass(frozen=True, kw_only=True)
class Unused:
    """Something that a test says and its saga has not used."""

    sentence: str
    #: True: a later move of the saga may use it.
    may_come: bool


def key_of(purpose: str, step: str, answers: tuple[Answer | Always, ...]) -> tuple[str, str, int]:
    """Return what the answers to one call have in common, also where several sagas of a tree get them."""
    return purpose, step, id(answers)


def check_used(family: "Family") -> None:
    """Raise NotUsedError for what the test has said and nothing can use any more."""
    root = family.root
    if family in UNDECIDED:
        UNDECIDED.remove(family)
    if root.answers.allows_unused:
        return
    if never := next((left for left in unused(family) if not left.may_come), None):
        raise NotUsedError(f"{root.memory.definition}: {never.sentence}; {_HINT}")
    if next(unused(family), None):
        UNDECIDED.append(family)


def check_over() -> None:
    """Raise NotUsedError for what a test that has ended has said and not used."""
    for family in UNDECIDED:
        for left in unused(family):
            raise NotUsedError(f"{family.root.memory.definition}: {left.sentence}; {_HINT}")


def unused(family: "Family") -> Iterator[Unused]:
    """Yield each answer and signal that the test has said, and that was not used so far."""
    used, members = family.used(), family.members.values()
    for said in _all_said(family.root.answers, ""):
        number = used.get(said.key, 0)
        if said.answers[number:]:
            yield Unused(sentence=_sentence(said, number), may_come=any(_may_use(each, said) for each in members))
    for signal in family.early:
        if not any(_has_waited(each, signal) for each in members):
            may_come = any(_may_wait(each, signal) or _starts_more(each) for each in members)
            yield Unused(sentence=f"no wait took the signal {signal}", may_come=may_come)


def _all_said(scenario: Answers, prefix: str) -> Iterator[Said]:
    """Yield what a test says of each call, also within the scenarios of children."""
    for (purpose, step), said in scenario.script.items():
        for name, each in _by_item(step, said):
            if isinstance(each, tuple):
                call = f"{_PURPOSES[purpose]}{prefix}{name}"
                yield Said(purpose=purpose, step=step, call=call, answers=each)
            elif not each.allows_unused:
                yield from _all_said(each, f"{prefix}{name}.")


def _by_item(name: str, said: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(said, Items):
        yield name, said
        return
    for number, each in enumerate(said.of_item):
        yield from _by_item(f"{name}[{number}]", each)


def _sentence(said: Said, used: int) -> str:
    left = said.answers[used:]
    more = ", …" if len(left) > _MOST_SHOWN else ""
    answers = f"{'answer' if len(left) == 1 else 'answers'} {', '.join(map(str, left[:_MOST_SHOWN]))}{more}"
    verb = "was" if len(left) == 1 else "were"
    if used == 0:
        return f"{said.call} was never called, so its {answers} {verb} not used"
    return f"{said.call} used {used} of its {len(said.answers)} answers, so the {answers} {verb} not used"


def _may_use(member: Member, said: Said) -> bool:
    """Return True when a later move of a saga may send a call that gets these answers."""
    if _starts_more(member):
        return True
    undoes = said.purpose == "undo"
    return any(
        at.step is not None and at.step.name == said.step and at.undoes == undoes for at in _ahead(member) if at.runs
    )


def _may_wait(member: Member, signal: str) -> bool:
    definition, row = member.memory.definition, member.memory.row
    step = step_waiting_for(definition, signal)
    return step is not None and (row is None or can_still_wait(definition, row.state, step))


def _has_waited(member: Member, signal: str) -> bool:
    """Return True when a saga has left its wait for a signal that had arrived before."""
    step = step_waiting_for(member.memory.definition, signal)
    states = member.memory.definition.states
    return any(
        move.source and states[move.source].waits is not None and states[move.source].step == step
        for move in member.memory.journal
    )


def _starts_more(member: Member) -> bool:
    """Return True when a saga may still start children, whose calls may get the answers."""
    return any(at.awaits_child and not at.undoes for at in _ahead(member))


def _ahead(member: Member) -> Iterator[State]:
    """Yield each state that a saga may enter from now on, and the one that it is in."""
    definition, row = member.memory.definition, member.memory.row
    names = definition.states if row is None else states_ahead(definition, row.state)
    return (definition.states[name] for name in names)
