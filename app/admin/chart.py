"""The last hour as bars: each the sagas begun in one minute, by what has become of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.store.overview import PARTS, Minute

#: From the bottom of a bar to its top.
ORDER = ("completed", "compensated", "running", "compensating", "pending", "stuck")
#: What is drawn apart, in parts of a bar's place.
_GAP = 0.25
_HEIGHT = 100.0


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A rectangle, on a field of PARTS by 100. says: for those who point at it."""

    x: float
    y: float
    width: float
    height: float
    status: str
    says: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    bars: Sequence[Bar]
    most: int
    total: int
    shares: Sequence[tuple[str, int]]

    @property
    def says(self) -> str:
        parts = ", ".join(f"{sagas} {status}" for status, sagas in self.shares)
        return f"{self.total} sagas begun in the last hour: {parts}." if self.total else "No saga begun in the last hour."


def chart(minutes: Iterable[Minute]) -> Chart:
    counts: dict[tuple[int, str], int] = {}
    for minute in minutes:
        place = (minute.number, minute.status)
        counts[place] = counts.get(place, 0) + minute.sagas
    heights = [sum(counts.get((number, status), 0) for status in ORDER) for number in range(PARTS)]
    shares = [(status, sum(counts.get((number, status), 0) for number in range(PARTS))) for status in ORDER]
    most = max(heights)
    return Chart(
        bars=_bars(counts, most),
        most=most,
        total=sum(heights),
        shares=[(status, sagas) for status, sagas in shares if sagas],
    )


def _bars(counts: dict[tuple[int, str], int], most: int) -> list[Bar]:
    bars: list[Bar] = []
    for number in range(PARTS):
        top = _HEIGHT
        for status in ORDER:
            sagas = counts.get((number, status), 0)
            if sagas:
                height = round(sagas / most * _HEIGHT, 2)
                top = round(top - height, 2)
                says = f"{PARTS - number} min ago: {sagas} {status}"
                bars.append(Bar(x=number, y=top, width=1 - _GAP, height=height, status=status, says=says))
    return bars
