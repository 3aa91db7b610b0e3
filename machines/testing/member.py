"""One saga of a tree in memory: its store, its place in the tree, and what the test says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from machines.groups import StoredChild
from machines.step import Step
from machines.testing.answers import Items
from machines.testing.memory import Memory


class Answers(Protocol):
    """What a test says of one saga: a `Scenario`."""

    @property
    def script(self) -> Mapping[tuple[str, str], Any]: ...
    @property
    def bodies(self) -> Mapping[str, Any]: ...
    @property
    def allows_unused(self) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class Silent:
    """The answers of a child about which the test says nothing."""

    script: Mapping[tuple[str, str], Any]
    bodies: Mapping[str, Any]
    allows_unused: bool = True


#: What the test says of a child that it does not name.
SILENT = Silent(script={}, bodies={})


@dataclass(kw_only=True, eq=False)
class Member:
    """One saga of a tree."""

    memory: Memory
    #: What the test says of it.
    answers: Answers
    parent: "Member | None" = None
    #: Name of the branch, or of the step of sub() that has started the saga; "" for the root.
    name: str = ""
    #: Number of sagas above it.
    depth: int = 0
    #: Label of the step of sub() that it belongs to, with a dot; "" without any.
    prefix: str = ""
    #: Numbers of the items of each() that it belongs to below that step, from the outermost.
    indexes: tuple[int, ...] = ()

    def label(self, step: str) -> str:
        """Return the name of a step in the tree: `reserve[0]`, `pay.charge`."""
        return self.prefix + step + "".join(f"[{index}]" for index in self.indexes)

    def said(self, purpose: str, step: str) -> Any:
        """Return what the test says of a call of this saga; () for nothing."""
        found = self.answers.script.get((purpose, step), ())
        for index in self.indexes:
            if isinstance(found, Items):
                found = found.of_item[index] if index < len(found.of_item) else ()
        return found

    def step(self, name: str) -> Step:
        return next(step for step in self.memory.definition.steps if step.name == name)

    @property
    def backs_off(self) -> bool:
        """True when the saga goes on by itself after a short time, and does not wait for an answer or a date."""
        row = self.memory.row
        assert row is not None
        return row.held or self.memory.definition.states[row.state].waits is None


def kin_of(memory: Memory) -> StoredChild:
    """Return a stored child, as its parent reads it."""
    row = memory.row
    assert row is not None
    return StoredChild(
        id=memory.saga_id, definition=memory.definition.name, definition_version=memory.definition.version,
        child_number=memory.child_number, state=row.state, status=row.status, error=row.error,
    )  # fmt: skip
