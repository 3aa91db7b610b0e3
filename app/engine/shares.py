"""How the tables share the threads of one process: `priority=` and `at_once=` of each table.

Where no table has either, a claim is one statement for all tables, as if this module did not exist.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from app.engine.running import Running
from machines.saga import Saga

Claimed = TypeVar("Claimed")
#: Claims up to a number of due sagas of some tables; None: of all tables.
Claim = Callable[[int, Sequence[str] | None], Sequence[Claimed]]


class Shares:
    """Counts the sagas that this process runs of each limited table, and claims due sagas by priority and limit.

    tables: the latest version of each table.
    """

    def __init__(self, tables: Iterable[Saga] = ()) -> None:
        latest = list(tables)
        self._limits = {table.name: table.at_once for table in latest if table.at_once is not None}
        #: The names of the tables of each priority, the highest first.
        self._classes: list[list[str]] = [
            [table.name for table in latest if table.priority == priority]
            for priority in sorted({table.priority for table in latest}, reverse=True)
        ]
        self._running, self._turn = Running(self._limits.get), 0
        #: Limited tables of which more sagas may be due than this process was allowed to claim.
        self._held_back: set[str] = set()

    def has_room(self, name: str) -> bool:
        """Return True when this process may run one more saga of the table."""
        return self._running.has_room(name)

    def count(self, name: str, change: int) -> bool:
        """Count sagas of a table that begin or end here. Return True when the table's held back sagas may go on."""
        return self._running.count(name, change, self._held_back)

    def claim(self, room: int, claim: Claim[Claimed]) -> list[Claimed]:
        """Claim up to `room` sagas: those of a higher priority first, and of each table no more than its limit."""
        if not self._limits and len(self._classes) < 2:  # noqa: PLR2004  one priority is none
            return list(claim(room, None))
        claimed: list[Claimed] = []
        self._turn += 1
        for most, names in self._parts():
            if len(claimed) == room:
                break
            wanted = min(most if most is not None else room, room - len(claimed))
            found = claim(wanted, names)
            if most is not None and len(found) < wanted:
                self._held_back.discard(names[0])
            claimed += found
        return claimed

    def _parts(self) -> Iterator[tuple[int | None, list[str]]]:
        """Yield the tables of each statement of a claim, with the most sagas that it may take.

        A limited table has a statement of its own. Within one priority the first one changes from claim to claim, so
        that no table is always the last.
        """
        running = self._running.numbers()
        for names in self._classes:
            limited = [name for name in names if name in self._limits]
            others = [name for name in names if name not in self._limits]
            parts = [[name] for name in limited] + ([others] if others else [])
            first = self._turn % len(parts)
            for part in parts[first:] + parts[:first]:
                name = part[0]
                if name not in self._limits:
                    yield None, part
                    continue
                self._held_back.add(name)
                if (left := self._limits[name] - running[name]) > 0:
                    yield left, part
