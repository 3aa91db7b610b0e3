"""The odds and the times of each step, from the journals of sagas that have ended or are stuck."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil, sqrt
from typing import Protocol

from machines.advice.order import Odds
from machines.history import Move, Reasoned, outcome, sends_call, skips
from machines.outcomes import Outcome
from machines.saga import Saga
from machines.step import Kind, Step
from machines.transitions import DONE, Direction, Trigger

#: Fewer sagas than this that reached a step say nothing about the step.
FEWEST = 30
#: Triggers with which a step ends the way forward.
_FAILED = (Trigger.REFUSED, Trigger.REFUSED_IN_DOUBT, Trigger.EXHAUSTED, Trigger.EXPIRE, Trigger.QUARANTINE)
#: Width of a 95 % interval, in standard deviations.
_Z = 1.96


class JournalRow(Move, Reasoned, Protocol):
    """A row of the journal, with the columns that the figures need."""

    @property
    def source(self) -> str | None: ...
    @property
    def dest(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def duration_ms(self) -> float | None: ...


@dataclass(kw_only=True)
class Figures:
    """What past sagas say about one step."""

    step: Step
    #: Number of sagas whose step was tried, and how its action ended.
    reached: int = 0
    #: Number of sagas that skipped the step (`when=`).
    skipped: int = 0
    succeeded: int = 0
    refused: int = 0
    #: In doubt after the last attempt, too late, or stuck after dead processes.
    gave_up: int = 0
    #: Durations of the attempts that got a clear answer, in milliseconds.
    call_ms: list[float] = field(default_factory=list)
    #: Times from the entry of the step to its end, in seconds: with retries, or with the wait.
    step_s: list[float] = field(default_factory=list)
    #: Number of attempts that got no answer at all.
    unanswered: int = 0
    #: Number of attempts → how many sagas succeeded with so many.
    attempts: dict[int, int] = field(default_factory=dict)

    @property
    def enough(self) -> bool:
        return self.reached >= FEWEST

    @property
    def odds(self) -> float:
        """The share of the sagas that the step ended: refused, or given up."""
        return (self.refused + self.gave_up) / self.reached if self.reached else 0.0

    @property
    def odds_in_order(self) -> Odds:
        """The odds that decide about the best order.

        A pivot that is given up, and a step that cannot be refused, make no saga go back.
        """
        came = self.reached + self.skipped
        if not self.reached or self.step.refused is None:
            return Odds(0.0, self.reached / came if came else 1.0)
        back = self.refused / self.reached if self.step.kind is Kind.PIVOT else self.odds
        return Odds(back, self.reached / came)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the odds (Wilson)."""
        if not self.reached:
            return 0.0, 1.0
        count, share = self.reached, self.odds
        middle = share + _Z**2 / (2 * count)
        half = _Z * sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
        return max(0.0, (middle - half) / (1 + _Z**2 / count)), min(1.0, (middle + half) / (1 + _Z**2 / count))


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that is not below this share of the values (nearest rank); None without values."""
    return sorted(values)[max(ceil(share * len(values)), 1) - 1] if values else None


def figures(definition: Saga, journals: Iterable[Sequence[JournalRow]]) -> Mapping[str, Figures]:
    """Return step → its figures. journals: the moves of each saga, in their order."""
    found = {step.name: Figures(step=step) for step in definition.steps}
    for journal in journals:
        for name, moves in _by_step(journal).items():
            if name in found:
                _add(found[name], journal, moves)
        for row in journal:
            if skips(row) and row.step in found:
                found[row.step].skipped += 1
    return found


def _by_step(journal: Sequence[JournalRow]) -> Mapping[str, list[JournalRow]]:
    """Return step → the moves of its action. A skipped step was not tried."""
    found: dict[str, list[JournalRow]] = {}
    for row in journal:
        if row.step and row.direction == Direction.DO and row.trigger not in (Trigger.BEGIN, Trigger.SKIP):
            found.setdefault(row.step, []).append(row)
    return found


def _add(known: Figures, journal: Sequence[JournalRow], moves: Sequence[JournalRow]) -> None:
    triggers = [row.trigger for row in moves]
    known.reached += 1
    # The first end counts: a person may have retried a stuck step later.
    end = next((row for row in moves if row.trigger in DONE or row.trigger in _FAILED), None)
    if end is not None:
        known.succeeded += end.trigger in DONE
        known.refused += end.trigger in (Trigger.REFUSED, Trigger.REFUSED_IN_DOUBT)
        known.gave_up += end.trigger not in DONE and end.trigger not in (Trigger.REFUSED, Trigger.REFUSED_IN_DOUBT)
        entered = next(
            (
                row.at
                for row in reversed(journal)
                if row.at <= moves[0].at and row.dest == moves[0].source and row.source != row.dest
            ),
            None,
        )
        if entered is not None:
            known.step_s.append((end.at - entered).total_seconds())
    tried = [row for row in moves if sends_call(row) and outcome(row) not in (None, Outcome.NOT_SENT)]
    known.call_ms += [row.duration_ms for row in tried if row.status_code is not None and row.duration_ms is not None]
    known.unanswered += sum(row.status_code is None and row.trigger not in DONE for row in tried)
    if Trigger.SUCCEEDED in triggers and tried:
        known.attempts[len(tried)] = known.attempts.get(len(tried), 0) + 1
