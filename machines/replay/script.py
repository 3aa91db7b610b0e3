"""The answers that a journal records, in the order in which they came."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from machines.testing import Always, Answer, ok


class Script:
    """The answers of each call: (purpose, step) → its answers, in their order."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], list[Answer | Always]] = {}
        #: Answer that was read last: its place in the script; None: something else came after it.
        self._last: tuple[tuple[str, str], int] | None = None

    @property
    def requests(self) -> Mapping[tuple[str, str], int]:
        """(purpose, step) → how many requests the journal records."""
        return {call: len(answers) for call, answers in self._answers.items()}

    def add(self, purpose: str, step: str, *answers: Answer | Always) -> None:
        known = self._answers.setdefault((purpose, step), [])
        known += answers
        self._last = ((purpose, step), len(known) - 1)

    def seal(self) -> None:
        """Note that something else came after the last answer."""
        self._last = None

    def expire(self, direction: str | None, step: str | None, over_s: float) -> bool:
        """Let the deadline pass after the last answer. Return False when something else came after it.

        direction, step: the call that the deadline ended. over_s: time until the deadline is over, in seconds.
        """
        if self._last is None:
            return False
        call, place = self._last
        answer = self._known(call, place)
        waits = call == (direction, step) and not answer.dies
        changes: dict[str, Any] = {"retry_after_s": over_s} if waits else {"takes_s": over_s}
        self._answers[call][place] = replace(answer, **changes)
        return True

    def rest(self) -> bool:
        """Let the saga rest after the last answer. Return False when something else came after it."""
        if self._last is None:
            return False
        call, place = self._last
        self._answers[call][place] = replace(self._known(call, place), rests=True)
        return True

    def trimmed(self) -> dict[tuple[str, str], tuple[Answer | Always, ...]]:
        """Return the answers without the successes at the end of each list, because a call succeeds by default."""
        found = {}
        for call, answers in self._answers.items():
            kept = list(answers)
            while kept and kept[-1] is ok:
                kept.pop()
            if kept:
                found[call] = tuple(kept)
        return found

    def _known(self, call: tuple[str, str], place: int) -> Answer:
        answer = self._answers[call][place]
        assert isinstance(answer, Answer), "only polls have an answer without an end, and their wait follows it"
        return answer
