"""The branches of a saga's groups as nodes and arrows, for the formats that place them on their own.

The ids are unique in the diagram: `b1`, `b2` and so on for branches, and `g1` for groups.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from diagrams.descriptions import called, group_words
from diagrams.step_bands import step_bands
from machines.children import Branch
from machines.saga import Saga
from machines.step import Step


@dataclass(frozen=True, kw_only=True)
class Node:
    """A step of a branch, or a bar at which all branches of a group begin or end."""

    id: str
    #: Name of the step, then its call, one line each; nothing for a bar.
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Arrow:
    source: str
    dest: str
    #: Condition under which the branch goes this way, in words; "" where it always does.
    when: str = ""


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One branch: its nodes and the frames of its groups, in their order."""

    name: str
    nodes: tuple["Node | Frame", ...]
    arrows: tuple[Arrow, ...]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The frame of a group. fork and join: the ids of its bars."""

    id: str
    #: State in which the saga waits for the group; None: the group is in a branch.
    state: str | None
    #: State that follows the group.
    done: str
    title: str
    fork: str
    join: str
    lanes: tuple[Lane, ...]


def frames(saga: Saga) -> Iterator[Frame]:
    """Yield the frame of each group of a saga."""
    numbers = count(1)
    for band in step_bands(saga):
        if band.step.group is not None:
            yield _frame(band.step, numbers, band.active)


def _frame(step: Step, numbers: "count[int]", state: str | None = None) -> Frame:
    assert step.group is not None
    number = next(numbers)
    fork, join = f"g{number}_fork", f"g{number}_join"
    lanes = tuple(_lane(branch, fork, join, numbers) for branch in step.group.branches)
    title = f"{step.name}: {group_words(step.group)}"
    return Frame(id=f"g{number}", state=state, done=step.done, title=title, fork=fork, join=join, lanes=lanes)


def _lane(branch: Branch, fork: str, join: str, numbers: "count[int]") -> Lane:
    """Return a branch with an arrow from each step to the next, and around each step that may be skipped."""
    nodes, arrows = list[Node | Frame](), list[Arrow]()
    ways = [(fork, "")]  # the ends of the ways that lead to the next step, each with the condition of the way
    for step in branch.steps:
        node: Node | Frame
        if step.group is not None:
            node = _frame(step, numbers)
            into, out = node.fork, node.join
        else:
            node = Node(id=f"b{next(numbers)}", lines=(step.name, " ".join(called(step))))
            into = out = node.id
        nodes.append(node)
        when = f"only when {step.when}" if step.when else ""
        arrows += [Arrow(source=source, dest=into, when=_both(before, when)) for source, before in ways]
        ways = [(out, ""), *((source, _both(before, f"skip {step.name}")) for source, before in ways if step.when)]
    arrows += [Arrow(source=source, dest=join, when=before) for source, before in ways]
    return Lane(name=branch.name, nodes=tuple(nodes), arrows=tuple(arrows))


def _both(before: str, when: str) -> str:
    return ", ".join(filter(None, (before, when)))
