"""A saga definition: a table that has been checked, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from machines.call import split
from machines.check import check
from machines.digest import content_of, digest_of
from machines.rows import Rows, derive
from machines.table import Table


@dataclass(frozen=True, kw_only=True, eq=False)
class Saga(Table):
    """One version of a saga. A running saga is pinned to the name and version it began with.

    Raises `TableError`, which names table, step and mend, when the table is not legal.
    """

    def __post_init__(self) -> None:
        check(self)

    @cached_property
    def rows(self) -> Rows:
        return derive(self)

    @cached_property
    def content(self) -> str:
        """What of the table must not change under a running saga, see machines.digest."""
        return content_of(self)

    @cached_property
    def digest(self) -> str:
        """Tells this table from another one of the same name and version."""
        return digest_of(self.content)

    @cached_property
    def needed_fields(self) -> Mapping[str, frozenset[str]]:
        """Per step, the fields of its reply that a later call refers to: without them the reply is unreadable."""
        calls = [call for step in self.steps for call in (step.call, step.undo) if call is not None]
        references = [split(reference) for call in calls for reference in call.references]
        return {s.name: frozenset(name for step, name in references if step == s.name) for s in self.steps}
