"""The Gantt chart of a saga: when each attempt was made, and its duration. Long waits are drawn short."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Protocol

from machines.transitions import Direction

#: A wait between two calls is cut when it is longer than _LONG times the duration of all calls together. A cut wait is
#: drawn as wide as _CUT times this duration.
_LONG, _CUT = 0.25, 0.08
#: Smallest width of a bar, and width of the label of a cut wait, in percent of the chart.
_NARROWEST, _LABEL = 0.1, 6.0
#: Smallest duration of a chart, in seconds. It prevents a division by zero when no call took any time.
_SHORTEST_S = 0.001


class Attempt(Protocol):
    """A row of the journal that records a call."""

    @property
    def at(self) -> datetime: ...
    @property
    def step(self) -> str | None: ...
    @property
    def direction(self) -> str | None: ...
    @property
    def duration_ms(self) -> float | None: ...


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One attempt."""

    #: Index of the attempt's row in the journal; the first row has 0.
    number: int
    #: Position and width in percent of the chart.
    left: float
    width: float


@dataclass(frozen=True, kw_only=True)
class Lane:
    """The attempts of one action or of one compensation."""

    step: str
    direction: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A long wait between two calls, which is drawn short."""

    #: Position and width in percent of the chart.
    left: float
    width: float
    #: The real duration of the wait.
    seconds: float
    #: The row in which the label is drawn; the first row has 0. Several rows keep the labels from overlapping.
    row: int = 0


@dataclass(frozen=True, kw_only=True)
class Gantt:
    """The chart of all attempts of a saga."""

    lanes: tuple[Lane, ...]
    cuts: tuple[Cut, ...]
    #: Start of the first attempt.
    started_at: datetime
    #: Seconds from `started_at` to the end of the last attempt.
    seconds: float

    @property
    def rows(self) -> int:
        """The number of rows that the labels of the cut waits need."""
        return max((cut.row + 1 for cut in self.cuts), default=0)


def gantt(moves: Sequence[Attempt]) -> Gantt | None:
    """Return the chart of a journal; None for a journal without attempts."""
    spans = _spans(moves)
    if not spans:
        return None
    started_at = min(start for start, _ in spans.values())
    inside = {
        number: ((s - started_at).total_seconds(), (e - started_at).total_seconds()) for number, (s, e) in spans.items()
    }
    end = max(stop for _, stop in inside.values())
    scale = _Scale(sorted(inside.values()), end)
    lanes: dict[tuple[str, str], list[Bar]] = {}
    for number, (start, stop) in inside.items():
        move, left = moves[number], scale.at(start)
        bar = Bar(number=number, left=round(left, 3), width=max(round(scale.at(stop) - left, 3), _NARROWEST))
        lanes.setdefault((move.step or "", move.direction or Direction.DO), []).append(bar)
    drawn = tuple(Lane(step=step, direction=way, bars=tuple(bars)) for (step, way), bars in lanes.items())
    return Gantt(lanes=drawn, cuts=_with_label_rows(scale.cuts), started_at=started_at, seconds=end)


def _with_label_rows(cuts: Sequence[Cut]) -> tuple[Cut, ...]:
    """Return the cuts, each with its label in the first row that has room for the label."""
    ends: list[float] = []
    placed: list[Cut] = []
    for cut in cuts:
        middle = cut.left + cut.width / 2
        row = next((row for row, end in enumerate(ends) if end <= middle - _LABEL / 2), len(ends))
        ends[row : row + 1] = [middle + _LABEL / 2]
        placed.append(replace(cut, row=row))
    return tuple(placed)


def _spans(moves: Sequence[Attempt]) -> dict[int, tuple[datetime, datetime]]:
    """Return the start and end of each attempt, by its index in the journal.

    Attempts of one commit have the same time in the journal. So the end of an attempt is drawn at the start of the next
    attempt, if the journal has a later time.
    """
    spans: dict[int, tuple[datetime, datetime]] = {}
    after: datetime | None = None
    for number in range(len(moves) - 1, -1, -1):
        move = moves[number]
        if move.duration_ms is None:
            continue
        end = min(move.at, after) if after else move.at
        after = end - timedelta(milliseconds=move.duration_ms)
        spans[number] = (after, end)
    return dict(sorted(spans.items()))


class _Scale:
    """Converts a time in seconds to a position in percent of the chart; long waits are cut."""

    def __init__(self, spans: Sequence[tuple[float, float]], end: float) -> None:
        waits = [(stop, start) for (_, stop), (start, _) in pairwise(spans) if start > stop]
        worked = max(end - sum(start - stop for stop, start in waits), _SHORTEST_S)
        long = [(stop, start) for stop, start in waits if start - stop > _LONG * worked]
        short_s = _CUT * worked
        self._long, self._short_s = long, short_s
        self._whole = max(end - sum(start - stop - short_s for stop, start in long), _SHORTEST_S)
        self.cuts = [
            Cut(left=round(self.at(stop), 3), width=round(self.at(start) - self.at(stop), 3), seconds=start - stop)
            for stop, start in long
        ]

    def at(self, second: float) -> float:
        cut = sum(start - stop - self._short_s for stop, start in self._long if start <= second)
        return 100.0 * (second - cut) / self._whole
