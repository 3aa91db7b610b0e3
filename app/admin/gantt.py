"""When each attempt was made and how long it took, laid out on one line of time that leaves long waits out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Protocol

#: A wait longer than this share of all that was worked is cut short, and as wide as this afterwards.
_LONG, _CUT = 0.25, 0.08
#: A bar is at least as wide as this, and what is said of a wait about as wide as that; in percent.
_NARROWEST, _SAID = 0.1, 6.0
#: Nothing shorter than this can be seen: a saga of a few milliseconds is drawn as if it had taken so long.
_SHORTEST_S = 0.001


class Attempt(Protocol):
    """A row of the journal that tells of a call."""

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
    """One attempt. left, width: in percent of the whole. number: which row of the journal it is."""

    number: int
    left: float
    width: float


@dataclass(frozen=True, kw_only=True)
class Lane:
    """The attempts of one call, a step's or its compensation's."""

    step: str
    direction: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A wait that is drawn shorter than it was. left, width: in percent. row: where its length is said, the first 0."""

    left: float
    width: float
    seconds: float
    row: int = 0


@dataclass(frozen=True, kw_only=True)
class Gantt:
    """began: of the first attempt; seconds: from there to the end of the last."""

    lanes: tuple[Lane, ...]
    cuts: tuple[Cut, ...]
    began: datetime
    seconds: float

    @property
    def rows(self) -> int:
        return max((cut.row + 1 for cut in self.cuts), default=0)


def gantt(moves: Sequence[Attempt]) -> Gantt | None:
    """Lay out every attempt of a journal; None where there was none."""
    spans = _spans(moves)
    if not spans:
        return None
    began = min(start for start, _ in spans.values())
    inside = {number: ((s - began).total_seconds(), (e - began).total_seconds()) for number, (s, e) in spans.items()}
    end = max(stop for _, stop in inside.values())
    scale = _Scale(sorted(inside.values()), end)
    lanes: dict[tuple[str, str], list[Bar]] = {}
    for number, (start, stop) in inside.items():
        move, left = moves[number], scale.at(start)
        bar = Bar(number=number, left=round(left, 3), width=max(round(scale.at(stop) - left, 3), _NARROWEST))
        lanes.setdefault((move.step or "", move.direction or "do"), []).append(bar)
    drawn = tuple(Lane(step=step, direction=way, bars=tuple(bars)) for (step, way), bars in lanes.items())
    return Gantt(lanes=drawn, cuts=_told_apart(scale.cuts), began=began, seconds=end)


def _told_apart(cuts: Sequence[Cut]) -> tuple[Cut, ...]:
    """Say the length of each in the first row where no other is in its way."""
    ends: list[float] = []
    placed: list[Cut] = []
    for cut in cuts:
        middle = cut.left + cut.width / 2
        row = next((row for row, end in enumerate(ends) if end <= middle - _SAID / 2), len(ends))
        ends[row : row + 1] = [middle + _SAID / 2]
        placed.append(replace(cut, row=row))
    return tuple(placed)


def _spans(moves: Sequence[Attempt]) -> dict[int, tuple[datetime, datetime]]:
    """Find when each attempt began and ended. Moves of one commit share its moment: one ends before the other."""
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
    """From seconds to percent, with the long waits cut."""

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
