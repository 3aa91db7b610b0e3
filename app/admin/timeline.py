"""The journal of a saga as a list of entries, with the entry that a person has chosen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.admin.saga_details import Attempt
from app.errors import NotFoundError
from app.store.models import JournalRow

#: Fewest equal attempts in a row that are folded into one line.
_FOLDED = 3


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of the journal."""

    row: JournalRow
    #: The call whose outcome the row records; None: the row records no call.
    attempt: Attempt | None

    def is_like(self, other: "Entry") -> bool:
        """Return True when both are the same call with the same end."""
        return self.attempt is not None and other.attempt is not None and self.attempt.is_like(other.attempt)


@dataclass(frozen=True, kw_only=True)
class Run:
    """Equal attempts in a row, or one entry."""

    entries: Sequence[Entry]

    @property
    def lasted_s(self) -> float:
        """Seconds from the first of them to the last."""
        return (self.entries[-1].row.at - self.entries[0].row.at).total_seconds()

    def has(self, entry: Entry) -> bool:
        return any(each.row.seq == entry.row.seq for each in self.entries)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """All entries of a journal."""

    runs: Sequence[Run]
    chosen: Entry
    #: Numbers of the entries before and behind the chosen one; None: there is none.
    before: int | None
    after: int | None


def timeline(journal: Sequence[JournalRow], attempts: Mapping[int, Attempt], chosen: int | None) -> Timeline | None:
    """Return the timeline; None for a saga without a journal. attempts: by the index of their row.

    chosen: number of the chosen entry; None: the last one. Raise NotFoundError for a number that the journal lacks.
    """
    entries = [Entry(row=row, attempt=attempts.get(index)) for index, row in enumerate(journal)]
    if not entries:
        return None
    at = len(entries) - 1 if chosen is None else _position(entries, chosen)
    return Timeline(
        runs=list(_runs(entries)),
        chosen=entries[at],
        before=entries[at - 1].row.seq if at else None,
        after=entries[at + 1].row.seq if at + 1 < len(entries) else None,
    )


def _position(entries: Sequence[Entry], number: int) -> int:
    for position, entry in enumerate(entries):
        if entry.row.seq == number:
            return position
    raise NotFoundError(f"the journal has no entry {number}; its last one is {entries[-1].row.seq}")


def _runs(entries: Sequence[Entry]) -> Iterator[Run]:
    """Yield the entries in their order; a run of fewer than _FOLDED equal attempts is yielded one by one."""
    alike: list[Entry] = []
    for entry in (*entries, None):
        if alike and (entry is None or not entry.is_like(alike[-1])):
            yield from [Run(entries=alike)] if len(alike) >= _FOLDED else [Run(entries=[each]) for each in alike]
            alike = []
        if entry is not None:
            alike.append(entry)
