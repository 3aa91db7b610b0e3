"""Reads whose values an action uses after a long wait: in one table, or across a saga and its children.

The search of stale values goes through the steps in their order, into the branches of groups and into the sagas that
sub() starts. It knows under which reference each value can be used, and which waits came after it was read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import NamedTuple

from machines.children import ITEM, Branch, Group
from machines.keeps import kept_of
from machines.references import EVERY, is_index, parts
from machines.registry import Registry
from machines.saga import Saga
from machines.step import Kind, Step
from machines.templates import references
from machines.verify.flaw import Flaw, references_of
from machines.waiting import duration

STALE = "stale read"
#: Waits of this length together make a value old, in seconds.
_LONG_S = 60.0
#: The table in which a step is: the children that lead to it, outermost first.
_Home = tuple[str, ...]


class _Wait(NamedTuple):
    """A wait of a step. seconds: its longest time; infinite: until a date."""

    step: str
    seconds: float
    home: _Home

    @property
    def how_long(self) -> str:
        return "until a date" if self.seconds == inf else f"up to {duration(self.seconds)}"


class _Value(NamedTuple):
    """What a step has read."""

    #: Parts of the references to it.
    parts: tuple[str, ...]
    read: str
    home: _Home
    #: The waits after it was read.
    waits: tuple[_Wait, ...] = ()
    #: True: it was handed to a child as data, so a reference without a dot means it, too.
    is_data: bool = False

    def is_meant(self, reference: str) -> bool:
        """Return True when a reference means the value, a part of it, or what contains it."""
        pairs = zip(self.parts, parts(reference), strict=False)
        same = all(mine == its or (mine == EVERY and is_index(its)) for mine, its in pairs)
        return same and (self.is_data or "." in reference)

    @property
    def long_waits(self) -> Sequence[_Wait]:
        """The waits that make the value old: the first long one alone, or else as many as together are long."""
        if long := [each for each in self.waits if each.seconds >= _LONG_S]:
            return long[:1]
        counts = range(1, len(self.waits) + 1)
        return next((self.waits[:count] for count in counts if _together_s(self.waits[:count]) >= _LONG_S), ())


def stale_reads(definition: Saga, registry: Registry) -> Iterator[Flaw]:
    """Yield each read whose values an action uses after a long wait. What is within one child its own table shows."""
    walk = _Walk(registry)
    walk.through(definition.steps, [], (), "")
    yield from walk.found.values()


class _Walk:
    """A walk through a table and those of its children."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.found: dict[str, Flaw] = {}

    def through(
        self, steps: Iterable[Step], values: list[_Value], home: _Home, label: str
    ) -> tuple[list[_Value], list[_Wait]]:
        """Go through steps. values: what can be used. Return what can be used at the end, and the waits.

        label: what stands before the name of a step, when a person reads it.
        """
        waits: list[_Wait] = []
        for step in steps:
            if step.kind is not Kind.READ:
                self._use(step, values, home, label)
            own: list[_Value] = []
            if step.group is not None:
                own, new = self._group(step, step.group, values, home, label)
            elif step.starts is not None:
                own, new = self._child(step, values, home, label)
            else:
                new = [_Wait(label + step.name, waited_s, home)] if (waited_s := _longest_s(step)) else []
            if step.kind is Kind.READ:
                own = [_Value((step.name,), label + step.name, home)]
            values = [*_after(values, new), *own]
            waits += new
        return values, waits

    def _use(self, step: Step, values: Sequence[_Value], home: _Home, label: str) -> None:
        for reference in references_of(step):
            for value in values:
                waits = value.long_waits
                if not waits or value.read in self.found or not value.is_meant(reference):
                    continue
                if home[:1] and all(each[:1] == home[:1] for each in (value.home, *(wait.home for wait in waits))):
                    continue  # the table of the child shows it
                named = " and ".join(f"{each.step} ({each.how_long})" for each in waits)
                waited = ", and in ".join(f"{each.step}: {each.how_long}" for each in waits)
                before, last = "the wait" if len(waits) == 1 else "these waits", waits[-1].step
                what = f"{reference}, which comes from {value.read}," if value.is_data else reference
                why = f"{label}{step.name} uses {reference}, which was read before {named}"
                path = (
                    f"{value.read} is read.",
                    f"The saga waits in {waited}.",
                    f"{label}{step.name} is sent with {what} as it was before {before}. Read it after {last}.",
                )
                self.found[value.read] = Flaw(STALE, value.read, f"{why}: it may be stale", path)

    def _group(
        self, step: Step, group: Group, values: list[_Value], home: _Home, label: str
    ) -> tuple[list[_Value], list[_Wait]]:
        """Go through the branches. Return what they keep, and the waits of the one that may wait longest."""
        over = group.over
        items = [each._replace(parts=(ITEM,), is_data=True) for each in values if over and each.is_meant(over)]
        ends = []
        for branch in group.branches:
            inner = (*home, f"{step.name}.{branch.name}")
            end, waits = self.through(branch.steps, [*values, *items], inner, label)
            ends.append((_kept(step, group, branch, [each for each in end if each.home[: len(inner)] == inner]), waits))
        kept: list[_Value] = []
        for number, (own, waits) in enumerate(ends):
            others = [of_other for other, (_, of_other) in enumerate(ends) if other != number]
            kept += _after(own, max([*others, *([waits] if over else [[]])], key=_together_s))
        return kept, max((waits for _, waits in ends), key=_together_s)

    def _child(
        self, step: Step, values: list[_Value], home: _Home, label: str
    ) -> tuple[list[_Value], list[_Wait]]:  # fmt: skip
        """Go through the saga that sub() starts. Return what the step keeps of it, and its waits."""
        assert step.call is not None
        body = step.call.body if isinstance(step.call.body, Mapping) else {}
        given = [
            value._replace(parts=(name,), is_data=True)
            for name, each in body.items()
            for reference in references(each)
            for value in values
            if value.is_meant(reference)
        ]
        inner = (*home, step.name)
        child = self._registry.latest(str(step.starts))
        end, waits = self.through(child.steps, given, inner, f"{label}{step.name}.")
        kept = [
            value._replace(parts=(step.name, *parts(name)))
            for name, each in step.keeps.items()
            for value in end
            if value.home[: len(inner)] == inner and value.is_meant(kept_of(name, each).source)
        ]
        return kept, waits


def _kept(step: Step, group: Group, branch: Branch, values: Iterable[_Value]) -> list[_Value]:
    """Return the values of a branch under the references that its saga has for them."""
    base = (step.name, EVERY if group.over is not None else branch.name)
    first = 1 if len(branch.steps) == 1 else 0  # a branch of one step keeps what the step keeps
    return [each._replace(parts=(*base, *each.parts[first:])) for each in values]


def _after(values: Iterable[_Value], waits: Iterable[_Wait]) -> list[_Value]:
    """Return the values after waits."""
    return [each._replace(waits=(*each.waits, *waits)) for each in values]


def _together_s(waits: Iterable[_Wait]) -> float:
    return sum(each.seconds for each in waits)


def _longest_s(step: Step) -> float:
    """Return the longest time that a step waits, in seconds; 0 for a step that does not wait."""
    wait = step.waits or step.later
    if wait is None:
        return 0.0
    return inf if wait.for_s is None else wait.for_s
