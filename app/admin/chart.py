"""The bar chart of the last hour: one bar for the sagas started in each minute, split by their present status."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.store.statistics import MINUTES, Minute
from machines.statuses import Status

#: The statuses in a bar, from the bottom to the top.
ORDER = (
    Status.COMPLETED,
    Status.COMPENSATED,
    Status.RUNNING,
    Status.COMPENSATING,
    Status.WAITING,
    Status.PENDING,
    Status.STUCK,
)
#: Width of a bar (each minute is 1 unit wide) and height of the highest bar, in units of the chart.
_WIDTH, _HEIGHT = 0.75, 100.0


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A bar chart. It is MINUTES units wide and 100 units high."""

    #: Each status with its SVG path: the rectangles of this status in all bars.
    layers: Sequence[tuple[str, str]]
    #: Largest number of sagas that were started in one minute.
    most: int
    total: int
    #: Each status with its number of sagas.
    shares: Sequence[tuple[str, int]]

    @property
    def description(self) -> str:
        """The chart in words, for a screen reader."""
        parts = ", ".join(f"{sagas} {status}" for status, sagas in self.shares)
        return (
            f"{self.total} sagas started in the last hour: {parts}."
            if self.total
            else "No sagas started in the last hour."
        )


def chart(minutes: Iterable[Minute]) -> Chart:
    counts: Counter[tuple[int, str]] = Counter()
    for minute in minutes:
        counts[minute.number, minute.status] += minute.sagas
    heights = [sum(counts[number, status] for status in ORDER) for number in range(MINUTES)]
    shares = [(status, sum(counts[number, status] for number in range(MINUTES))) for status in ORDER]
    return Chart(
        layers=_layers(counts, max(heights)),
        most=max(heights),
        total=sum(heights),
        shares=[(status, sagas) for status, sagas in shares if sagas],
    )


def _layers(counts: Counter[tuple[int, str]], most: int) -> list[tuple[str, str]]:
    parts: dict[str, list[str]] = {}
    for number in range(MINUTES):
        top = _HEIGHT
        for status in ORDER:
            if sagas := counts[number, status]:
                height = round(sagas / most * _HEIGHT, 2)
                top = round(top - height, 2)
                parts.setdefault(status, []).append(f"M{number} {top:g}h{_WIDTH}v{height:g}h-{_WIDTH}z")
    return [(status, "".join(outline)) for status, outline in parts.items()]
