"""Reads the journal of a saga that was moved to another version of its table, with the state names of the new version.

Each row of the journal keeps the state names of its time. The row of a migration says which states were renamed.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

#: Trigger of the journal's row that records a move to another version. No table has such a transition.
MIGRATE = "migrate"
#: Member of `reply` in the MIGRATE row with the renamed states: old name → new name.
STATES = "states"

_Row = TypeVar("_Row")


class _Renamed:
    """A row of the journal with the present names of its states."""

    def __init__(self, row: Any, **instead: Any) -> None:
        self.__dict__.update(instead)
        self._row = row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)


def as_named_now(journal: Sequence[_Row]) -> Sequence[_Row]:
    """Return the journal with the state names of the saga's present table. Without a migration, return it unchanged."""
    rows: Sequence[Any] = journal
    if not any(row.trigger == MIGRATE for row in rows):
        return journal
    named: list[Any] = []
    later: list[Mapping[str, str]] = []  # the renames after the current row, in their order
    for row in reversed(rows):
        dest, reply = _now(row.dest, later), row.reply
        if row.trigger == MIGRATE:
            later.insert(0, (reply or {}).get(STATES) or {})
            reply = None  # so that a second call of this function renames nothing
        named.append(_Renamed(row, source=_now(row.source, later), dest=dest, reply=reply))
    return named[::-1]


def _now(name: str | None, renames: Sequence[Mapping[str, str]]) -> str | None:
    for renamed in renames:
        name = None if name is None else renamed.get(name, name)
    return name
