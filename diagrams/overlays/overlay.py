"""An overlay: texts and styles for the states and edges of a picture."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from machines.transitions import Transition

#: Key of an edge: source state, trigger and destination state of its transition.
EdgeKey = tuple[str, str, str]
#: Key of a step of a branch: the name of the branch's table, and the step; "" stands for the branch as a whole.
BranchKey = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class BranchMark:
    """The additions to a step of a branch, to a branch, or to a group."""

    lines: tuple[str, ...] = ()
    #: CSS classes of the box.
    look: str = ""


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """The additions to a picture."""

    title: str
    headline: tuple[str, ...] = ()  # lines under the title
    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # state → additional lines in its box
    notes: Mapping[EdgeKey, str] = field(default_factory=dict)  # edge → text after its trigger
    states: Mapping[str, str] = field(default_factory=dict)  # state → CSS classes of its box
    edges: Mapping[EdgeKey, str] = field(default_factory=dict)  # edge → its CSS classes
    branches: Mapping[BranchKey, BranchMark] = field(default_factory=dict)  # part of a group → its additions
    footer: tuple[str, ...] = ()  # lines under the picture


def edge_key(transition: Transition) -> EdgeKey:
    return transition.source, str(transition.trigger), transition.dest
