"""Random families: tables with steps that start other sagas, or branches at the same time, one within another.

A family is drawn as nested nodes, so that a person can read and repeat a failing example.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from machines.branching import branch, each, sub, together
from machines.fields import integer, list_of, text
from machines.keeps import at
from machines.registry import Registry
from machines.saga import Saga
from machines.step import Kind, Step
from tests.property.tables import COMPENSATABLE, NAMES, PIVOT, READ, RETRIABLE, StepLine, When, condition, step_of
from tests.unit.machines.tables import can_be_refused, saga

#: The largest number of items of a list.
MOST_ITEMS = 3
#: The lists that each() goes through, one of each length.
LISTS = {f"list{length}": list(range(length)) for length in range(MOST_ITEMS + 1)}
DATA = {"client_id": 4, **LISTS}
_FIELDS = {"client_id": integer(low=1), **{name: list_of(integer(), low=0) for name in LISTS}}


@dataclass(frozen=True)
class Branches:
    """A step that does branches at the same time: together(), or each() with one branch for each item."""

    branches: tuple["Nodes", ...]
    #: The number of items; None: together().
    items: int | None = None
    at_most: int | None = None
    #: The step has no `refused`: all its branches must succeed.
    must: bool = False
    when: When | None = None

    @property
    def kind(self) -> Kind:
        return RETRIABLE if self.must else COMPENSATABLE


@dataclass(frozen=True)
class Sub:
    """A step that starts another saga."""

    nodes: "Nodes"
    #: The step has no `refused`: the other saga must complete.
    must: bool = False
    when: When | None = None

    @property
    def kind(self) -> Kind:
        no_return = any(node.kind in (PIVOT, RETRIABLE) for node in self.nodes)
        return RETRIABLE if self.must else PIVOT if no_return else COMPENSATABLE


Node = StepLine | Branches | Sub
Nodes = tuple[Node, ...]


@dataclass
class Family:
    """The tables of a drawn family."""

    nodes: Nodes
    table: Saga = field(init=False)
    registry: Registry = field(init=False)
    #: Names of the steps whose condition does not hold. Every step of a family has a name of its own.
    skipped: set[str] = field(default_factory=set)
    _subs: list[Saga] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.table = saga(*self._steps(self.nodes, ""), data=_FIELDS, participants=_called(self.nodes))
        self.registry = Registry([self.table, *self._subs])

    def _steps(self, nodes: Nodes, prefix: str) -> list[Step]:
        return [self._step(nodes, number, f"{prefix}{NAMES[number]}") for number in range(len(nodes))]

    def _step(self, nodes: Nodes, number: int, name: str) -> Step:
        node = nodes[number]
        if node.when is When.FAILS:
            self.skipped.add(name)
        if isinstance(node, StepLine):
            return step_of([_line(each) for each in nodes], number, name)
        last = number == len(nodes) - 1
        columns: dict[str, Any] = {"done": "DONE" if last else f"{name.upper()}_DONE"}
        if node.when is not None:
            columns["when"] = condition(node.when)
        if can_be_refused([each.kind for each in nodes], number):
            columns["refused"] = f"NO_{name.upper()}"
        return self._sub(node, name, columns) if isinstance(node, Sub) else self._branches(node, name, columns)

    def _sub(self, node: Sub, name: str, columns: dict[str, Any]) -> Step:
        child = f"saga_{name}"
        steps = self._steps(node.nodes, f"{name}s")
        self._subs.append(saga(*steps, name=child, data=_FIELDS, participants=_called(node.nodes)))
        first = node.nodes[0]
        if isinstance(first, StepLine) and first.own_id and first.when is None:
            columns["keeps"] = {"id": at(f"{steps[0].name}.id", text())}
        return sub(name, saga=child, data={field: field for field in _FIELDS}, pivot=node.kind is PIVOT, **columns)

    def _branches(self, node: Branches, name: str, columns: dict[str, Any]) -> Step:
        if node.items is not None:
            steps = self._steps(node.branches[0], f"{name}e")
            return each(f"list{node.items}", *steps, name=name, at_most=node.at_most, **columns)
        branches = [
            branch(f"{name}{number}", *self._steps(nodes, f"{name}{number}"))
            for number, nodes in enumerate(node.branches)
        ]
        return together(*branches, name=name, **columns)


def _line(node: Node) -> StepLine:
    """Return the step itself, or a step of the same kind that stands for what starts other sagas."""
    return node if isinstance(node, StepLine) else StepLine(node.kind)


def _called(nodes: Nodes) -> tuple[str, ...]:
    return ("shop",) if any(_calls(nodes)) else ()


def _calls(nodes: Nodes) -> Iterator[bool]:
    for node in nodes:
        if isinstance(node, StepLine):
            yield True
        elif isinstance(node, Branches):
            for inner in node.branches:
                yield from _calls(inner)


@st.composite
def families(draw: st.DrawFn) -> Nodes:
    """Draw a family. At least one step of its root starts other sagas."""
    number = draw(st.integers(0, 1))
    nodes = list(draw(_nodes(depth=0, goes_back=False)))
    if not any(isinstance(node, (Branches, Sub)) for node in nodes):
        nodes.insert(min(number, len(nodes) - 1), draw(_starting(depth=0, must=False)))
    return tuple(nodes)


@st.composite
def _nodes(draw: st.DrawFn, depth: int, goes_back: bool) -> Nodes:
    """Draw the steps of one table. goes_back: each of them can be compensated."""
    front = draw(st.lists(_node(depth, COMPENSATABLE), min_size=1, max_size=2 if depth else 3))
    if goes_back:
        return tuple(front)
    point = [draw(_node(depth, PIVOT))] if draw(st.booleans()) else []
    after = draw(st.lists(_node(depth, RETRIABLE), max_size=1)) if draw(st.booleans()) else []
    return (*front, *point, *after)


@st.composite
def _node(draw: st.DrawFn, depth: int, kind: Kind) -> Node:
    starts = depth < 2 and kind is not PIVOT and draw(st.integers(0, 2)) == 0
    if starts:
        return draw(_starting(depth, must=kind is RETRIABLE))
    if kind is COMPENSATABLE and draw(st.integers(0, 5)) == 0:
        kind = READ
    return draw(_line_of(kind))


@st.composite
def _starting(draw: st.DrawFn, depth: int, must: bool) -> Node:
    """Draw a step that starts other sagas. must: all of them must succeed."""
    when = draw(st.sampled_from([None, None, None, When.HOLDS, When.FAILS]))
    inner = _nodes(depth + 1, goes_back=not must)
    what = draw(st.sampled_from(["each", "each", "together", "sub"]))
    if what == "sub":
        return Sub(draw(inner), must=must, when=when)
    if what == "together":
        return Branches(tuple(draw(st.lists(inner, min_size=2, max_size=2))), must=must, when=when)
    items, at_most = draw(st.integers(0, MOST_ITEMS)), draw(st.sampled_from([None, 1, 2]))
    return Branches((draw(inner),), items=items, at_most=at_most, must=must, when=when)


@st.composite
def _line_of(draw: st.DrawFn, kind: Kind) -> StepLine:
    own_id = kind is COMPENSATABLE and draw(st.booleans())
    return StepLine(
        kind,
        attempts=draw(st.integers(1, 2)),
        own_id=own_id,
        later="" if own_id or kind is READ else draw(st.sampled_from(["", "", "callback", "poll"])),
        when=draw(st.sampled_from([None, None, None, When.HOLDS, When.FAILS])),
    )
