"""A saga definition: the one table from which execution, journal, metrics, API and diagrams follow.

A legal table reads (read | compensatable)* pivot? (read | retriable)*: what can be undone, then the point of no
return, then what must succeed in the end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from machines.call import split
from machines.check import check
from machines.fields import Field
from machines.rows import Rows, derive
from machines.step import Step


@dataclass(frozen=True, kw_only=True, eq=False)
class Saga:
    """One version of a saga. A running saga is pinned to the name and version it began with.

    data: the fields it is started with. participants: every service that a step may call.
    initial, completed, compensated: the states it begins and may end in.
    client, store: the fields of `data` that say whose saga it is, so that one can look for it.
    Raises `TableError`, which names table, step and mend, when the table is not legal.
    """

    name: str
    version: int
    data: Mapping[str, Field]
    participants: tuple[str, ...]
    initial: str
    completed: str
    compensated: str
    steps: tuple[Step, ...]
    client: str | None = None
    store: str | None = None

    def __post_init__(self) -> None:
        check(self)

    @cached_property
    def rows(self) -> Rows:
        return derive(self)

    @cached_property
    def needed_fields(self) -> Mapping[str, frozenset[str]]:
        """Per step, the fields of its reply that a later call refers to: without them the reply is unreadable."""
        calls = [call for step in self.steps for call in (step.call, step.undo) if call is not None]
        references = [split(reference) for call in calls for reference in call.references]
        return {s.name: frozenset(name for step, name in references if step == s.name) for s in self.steps}

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"
