"""The position of one saga's children: how many are in each step of each branch, done, undone and stuck."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol

from diagrams.descriptions import TIMES
from diagrams.overlays.overlay import BranchKey, BranchMark
from machines.branches import branch_tables
from machines.saga import Saga
from machines.statuses import FINISHED, Status


class ChildCount(Protocol):
    """The number of children in one state. The fields are properties, so that any type of record is accepted."""

    #: Table and step that have started the children.
    @property
    def parent(self) -> str: ...
    @property
    def step(self) -> str: ...
    #: Table of the children.
    @property
    def definition(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def number(self) -> int: ...


#: Status of a child → its word. Every other child is under way.
_WORDS = {
    Status.COMPLETED: "done",
    Status.STUCK: "stuck",
    Status.COMPENSATING: "going back",
    Status.COMPENSATED: "undone",
}
_UNDER_WAY = "under way"
_LOOKS = {"stuck": "now failed", _UNDER_WAY: "now", "going back": "now"}
_Counts = dict[BranchKey, Counter[str]]


def branch_marks(
    saga: Saga, children: Iterable[ChildCount], items: Mapping[str, int]
) -> Mapping[BranchKey, BranchMark]:
    """Return the marks of the groups and of their branches, and of each step in a branch.

    children: the children of the saga and the children below them. items: step of the saga → the number of its items.
    """
    tables = {table.name: table for table in branch_tables(saga)}
    groups, branches, here, others = _Counts(), _Counts(), _Counts(), _Counts()
    for child in children:
        table, started_by, word = tables.get(child.definition), (child.parent, child.step), _word(child.status)
        if table is None:
            others.setdefault(started_by, Counter())[f"{child.definition}: {child.state}"] += child.number
            continue
        groups.setdefault(started_by, Counter())[word] += child.number
        branches.setdefault((child.definition, ""), Counter())[word] += child.number
        step = table.states[child.state].step
        if step is not None and child.status not in FINISHED:
            here.setdefault((child.definition, step.name), Counter())[word] += child.number
    found = {key: _mark(counts, _here(counts)) for key, counts in here.items()}
    for key, counts in others.items():
        words = [name if number == 1 else f"{name} {TIMES}{number}" for name, number in counts.items()]
        found[key] = _added(found.get(key), words)
    for key, counts in groups.items():
        count = max(items.get(key[1], 0) if key[0] == saga.name else 0, counts.total())
        found[key] = _added(found.get(key), [_progress(counts, count)])
    alone = {name for name, _ in branches} & {f"{parent}.{step}" for parent, step in groups}
    named = {key: counts for key, counts in branches.items() if key[0] not in alone}
    return found | {key: _mark(counts, _branch(counts)) for key, counts in named.items()}


def _word(status: str) -> str:
    return _WORDS.get(Status(status), _UNDER_WAY)


def _mark(counts: Counter[str], words: str) -> BranchMark:
    """Return the mark of a step or a branch. The look is that of the worst place among its children."""
    return BranchMark(lines=(words,), look=next((look for word, look in _LOOKS.items() if counts[word]), ""))


def _added(mark: BranchMark | None, words: list[str]) -> BranchMark:
    known = mark or BranchMark()
    return BranchMark(lines=(*known.lines, *words), look=known.look)


def _here(counts: Counter[str]) -> str:
    """Return how many children are at a step: `◆ here`, or `◆ 3 here, 1 stuck`."""
    if counts.total() == 1:
        (word,) = counts
        return "◆ here" if word == _UNDER_WAY else f"◆ {word} here"
    return "◆ " + ", ".join(f"{number} {'here' if word == _UNDER_WAY else word}" for word, number in counts.items())


def _progress(counts: Counter[str], count: int) -> str:
    """Return how far a group is: `3 of 5 done, 1 stuck`."""
    more = [f"{counts[word]} {word}" for word in ("stuck", "going back", "undone") if counts[word]]
    return ", ".join([f"{counts['done']} of {count} done", *more])


def _branch(counts: Counter[str]) -> str:
    """Return what has become of a branch: `done`, or `2 done, 1 under way` where its group runs several times."""
    if counts.total() == 1:
        return next(iter(counts))
    return ", ".join(f"{number} {word}" for word, number in counts.items())
