"""The branches of the group that a saga waits for: which children they are, and which of them are still to start.

The children of a group are numbered from 1 in the order of the branches, or of the items. When a person retries a
group, a branch that was compensated gets a new child, whose number is higher by the count of branches.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from machines.branches import BranchTable, branch_name, data_of_branch, result_of
from machines.children import INDEX, ITEM
from machines.progress import Progress
from machines.references import FillError, look_up
from machines.registry import Registry
from machines.saga import Saga
from machines.statuses import FINISHED, Status

#: Statuses of a branch that does not go forward any more.
_BACK = (Status.COMPENSATING, Status.COMPENSATED)


def is_sent_back(status: str, *, goes_back: bool) -> bool:
    """Return True for a child that a parent on its way back asks to compensate. goes_back: it was asked before.

    A process of a release without child sagas may have completed a child that was to go back, so such a child is asked
    again. `app.store.children` has the same rule in SQL.
    """
    return status != Status.COMPENSATED and (not goes_back or status == Status.COMPLETED)


class Child(Protocol):
    """What is stored of a child, as its parent reads it."""

    @property
    def id(self) -> UUID: ...
    @property
    def definition(self) -> str: ...
    @property
    def definition_version(self) -> int: ...
    @property
    def child_number(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def error(self) -> str | None: ...


class StoredChild(NamedTuple):
    """A child in memory."""

    id: UUID
    definition: str
    definition_version: int
    child_number: int
    state: str
    status: str
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class NewChild:
    """A child that is still to start."""

    definition: Saga
    data: Mapping[str, Any]
    #: Its number among the children of the step, from 1.
    number: int


#: Returns the children that a step still has to start. Its arguments: the children that the step has, in the order of
#: their numbers; True when a person has retried the step, so that compensated ones start again.
Missing = Callable[[Sequence[Child], bool], Sequence[NewChild]]


class Branches:
    """The branches of a saga's present step. Raise FillError when the list that it goes through is not known."""

    def __init__(self, registry: Registry, saga: Progress) -> None:
        step = saga.current.step
        assert step is not None
        assert step.group is not None
        self._registry, self._saga, self._step, self._group = registry, saga, step, step.group
        self._items: Sequence[Any] | None = None
        if self._group.over is not None:
            self._items = items_of(self._group.over, saga.data, saga.results)
        #: Number of children: one for each branch, or for each item.
        self.count = len(self._group.branches if self._items is None else self._items)

    def newest(self, known: Sequence[Child]) -> list[Child]:
        """Return the newest child of each branch that has one, in the order of the branches."""
        return [child for _, child in sorted(self._by_place(known).items())]

    def missing(self, known: Sequence[Child], retried: bool) -> list[NewChild]:
        """Return the children that are still to start. known: the children of the step, in the order of their numbers.

        retried: a person has retried the step, so that compensated branches start again.
        """
        newest = self._by_place(known)
        room = self.count if self._group.at_most is None else self._group.at_most
        room -= sum(child.status not in FINISHED for child in newest.values())
        places = self._places_to_start(newest, retried)
        return [self._child(place, newest.get(place)) for place in places[: max(room, 0)]]

    def all_missing(self, known: Sequence[Child]) -> list[NewChild]:
        """Return the children that are started after a retry, now or as soon as `at_most` has room for them."""
        newest = self._by_place(known)
        return [self._child(place, newest.get(place)) for place in self._places_to_start(newest, retried=True)]

    def _places_to_start(self, newest: Mapping[int, Child], retried: bool) -> list[int]:
        """Return the places of the branches that have no child, or a compensated one that a retry replaces."""
        again = {place for place, child in newest.items() if retried and child.status == Status.COMPENSATED}
        if any(self.goes_back(child) for place, child in newest.items() if place not in again):
            return []
        return [place for place in range(self.count) if place not in newest or place in again]

    def goes_back(self, child: Child) -> bool:
        """Return True for a branch that does not go forward any more; it may be stuck in a compensation."""
        if child.status != Status.STUCK:
            return child.status in _BACK
        return self._registry.get(child.definition, child.definition_version).states[child.state].undoes

    def name(self, child: Child) -> str:
        """Return the name of the branch of a child; for an item the name of the step with the index, `hold[0]`."""
        place = (child.child_number - 1) % self.count
        return self._group.branches[place].name if self._items is None else f"{self._step.name}[{place}]"

    def result(self, replies: Sequence[Mapping[str, Any]]) -> Any:
        """Return the reply of the group from the replies of its children, in the order of the branches."""
        if self._items is not None:
            return [result_of(self._group.branches[0], each) for each in replies]
        pairs = zip(self._group.branches, replies, strict=True)
        return {branch.name: result_of(branch, each) for branch, each in pairs}

    def known_results(self, children: Sequence[Child], replies: Mapping[UUID, Mapping[str, Any]]) -> dict[str, Any]:
        """Return what completed children keep, by the name of the branch, or by the number of the item from 0.

        replies: child → step → its reply.
        """
        found = {}
        for place, child in sorted(self._by_place(children).items()):
            branch = self._group.branches[place if self._items is None else 0]
            found[branch.name if self._items is None else str(place)] = result_of(branch, replies[child.id])
        return {name: result for name, result in found.items() if result}

    def _by_place(self, known: Sequence[Child]) -> Mapping[int, Child]:
        """Return place of a branch, from 0 → its newest child."""
        return {(child.child_number - 1) % self.count: child for child in known} if self.count else {}

    def _child(self, place: int, before: Child | None) -> NewChild:
        saga, branch = self._saga, self._group.branches[place if self._items is None else 0]
        name = branch_name(saga.definition.name, self._step, branch)
        table = self._registry.get(name, saga.definition.version)
        assert isinstance(table, BranchTable)
        data = data_of_branch(table, saga.data, saga.results)
        if self._items is not None:
            data |= {ITEM: self._items[place], INDEX: place}
        number = place + 1 if before is None else before.child_number + self.count
        return NewChild(definition=table, data=data, number=number)


def items_of(reference: str, data: Mapping[str, Any], results: Mapping[str, Any]) -> Sequence[Any]:
    """Return the list that an each() goes through. Raise FillError when it is not known, or is no list."""
    found = look_up(reference, data, results)
    if not isinstance(found, (list, tuple)):
        raise FillError(f"{reference} is no list")
    return found
