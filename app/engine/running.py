"""The sagas that this process runs, counted by table or by tenant, against a limit for each."""

import threading
from collections import Counter
from collections.abc import Callable, Container


class Running:
    """Counts the sagas of each name that has a limit. limit_of: returns the limit of a name; None: it has none."""

    def __init__(self, limit_of: Callable[[str], int | None]) -> None:
        self._limit_of = limit_of
        self._numbers, self._counting = Counter[str](), threading.Lock()

    def has_room(self, name: str) -> bool:
        """Return True when this process may run one more saga of the name."""
        limit = self._limit_of(name)
        return limit is None or self._numbers[name] < limit

    def count(self, name: str, change: int, held_back: Container[str]) -> bool:
        """Count sagas that begin or end here. Return True when the sagas of a name that was held back may go on.

        This is so when half of the limit is free, because a claim of one saga costs as much as a claim of several.
        """
        limit = self._limit_of(name)
        if limit is None:
            return False
        with self._counting:
            self._numbers[name] += change
            left = self._numbers[name]
            if not left:
                del self._numbers[name]  # the number of tenants has no limit
        return change < 0 and name in held_back and left <= limit // 2

    def numbers(self) -> Counter[str]:
        """Return the number of sagas of each limited name that runs here."""
        with self._counting:
            return Counter(self._numbers)
