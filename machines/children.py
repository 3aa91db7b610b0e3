"""Steps that start other sagas, their children: one named saga, or the branches of a group.

A branch is a saga of a table that is derived from the group (machines.branches). So everything that serves a saga
serves a branch: leases, recovery, journal, compensation and pages.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from machines.call import Call
from machines.fields import Field, FieldKind
from machines.keeps import Kept, kept_of
from machines.references import parts

if TYPE_CHECKING:
    from machines.step import Step

#: Data of a branch of each(): its item, and the number of this item from 0.
ITEM, INDEX = "item", "index"


@dataclass(frozen=True, kw_only=True)
class Start(Call):
    """The start of children, or their compensation. No request is sent: `participant` is the saga, or the group.

    For one saga, the body becomes its data. `keeps` names fields of its replies, each as `step.field`.
    """


@dataclass(frozen=True, kw_only=True)
class Branch:
    """Steps that are done one after another, at the same time as the other branches of their group."""

    #: Name, unique in the group.
    name: str
    steps: tuple["Step", ...]

    @property
    def result(self) -> Field:
        """The type of what the branch keeps: the kept values of its step, or of several steps by name."""
        if len(self.steps) == 1:
            return stored_reply(self.steps[0])
        return _object({step.name: stored_reply(step) for step in self.steps})


@dataclass(frozen=True, kw_only=True)
class Group:
    """Branches that run at the same time: each once, or one branch for each item of a list."""

    branches: tuple[Branch, ...]
    #: Reference of the list; None: each branch is done once.
    over: str | None = None
    #: Largest number of children that run at once; None: all of them.
    at_most: int | None = None

    @cached_property
    def result(self) -> Field:
        """The type of the group's reply: a list with what each item keeps, or what each branch keeps by its name."""
        if self.over is not None:
            return Field(kind=FieldKind.LIST, item=self.branches[0].result)
        return _object({branch.name: branch.result for branch in self.branches})

    @property
    def calls(self) -> Iterator[Call]:
        """Every call in the branches, also in groups within them."""
        for branch in self.branches:
            for step in branch.steps:
                yield from step.calls
                if step.group is not None:
                    yield from step.group.calls


@dataclass(frozen=True, kw_only=True)
class ChildEnd:
    """What a parent waits for: the end of its children. No time ends this wait, except the parent's own deadline."""

    #: Name of the child's saga, or of the group.
    saga: str
    #: True: the children are the branches of a group.
    branches: bool = False
    #: Longest wait; None, because only the children end it.
    for_s: None = None

    def __str__(self) -> str:
        return f"the branches of {self.saga}" if self.branches else f"saga {self.saga}"


def root_name(name: str) -> str:
    """Return the name of the saga that a branch belongs to, or the name of the saga itself."""
    return name.partition(".")[0]


def start_of(saga: str, data: object, keeps: object) -> Start:
    """Return the start of a saga. check() refuses arguments of a wrong type."""
    return Start(method="START", participant=saga, path="", body=data, keeps=keeps)  # type: ignore[arg-type]


def compensation_of(saga: str) -> Start:
    """Return the compensation of a saga that `start_of` has started."""
    return Start(method="COMPENSATE", participant=saga, path="", body=None)


def stored_reply(step: "Step") -> Field:
    """Return the type of a stored reply. A step may lack one when it can be skipped, or can do without its signal."""
    reply = step.group.result if step.group is not None else kept_type(step.keeps)
    without = step.waits is not None and step.waits.can_lack_signal
    return replace(reply, optional=without or step.when is not None)


def kept_type(keeps: Mapping[str, Kept | Field]) -> Field:
    """Return the type of the kept values of a step: an object, with an object for each dot in a name."""
    fields: dict[str, Field] = {}
    below: dict[str, dict[str, Kept | Field]] = {}
    for name, declared in keeps.items():
        first, *rest = parts(name)
        if rest:
            below.setdefault(first, {})[".".join(rest)] = declared
        else:
            fields[first] = kept_of(name, declared).field
    return _object(fields | {name: kept_type(inner) for name, inner in below.items()})


def _object(fields: Mapping[str, Field]) -> Field:
    return Field(kind=FieldKind.OBJECT, items=fields)
