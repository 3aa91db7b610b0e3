"""The last hour as bars: each the sagas begun in one minute, by what has become of them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.store.overview import MINUTES, Minute

#: From the bottom of a bar to its top.
ORDER = ("completed", "compensated", "running", "compensating", "pending", "stuck")
#: A bar's width, of the place of 1 that it has, and the height of the highest.
_WIDTH, _HEIGHT = 0.75, 100.0


@dataclass(frozen=True, kw_only=True)
class Chart:
    """layers: of each status the outline of its parts of the bars, on a field of MINUTES by 100. most: a minute."""

    layers: Sequence[tuple[str, str]]
    most: int
    total: int
    shares: Sequence[tuple[str, int]]

    @property
    def says(self) -> str:
        parts = ", ".join(f"{sagas} {status}" for status, sagas in self.shares)
        return (
            f"{self.total} sagas begun in the last hour: {parts}." if self.total else "No saga begun in the last hour."
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
