"""The figures of a run. A run without any fault would prove nothing, so the run fails."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.chaos.proxy import ARRIVED
from tests.chaos.sagas import Saga


@dataclass
class Report:
    """Figures of one run."""

    #: What happens to the processes in this run, from the name of the test.
    hazard: str
    seed: int
    #: Counts of the test itself, as text.
    figures: list[str] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    #: The number of stuck sagas before an operator acted.
    stuck: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    _since: float = field(default_factory=time.monotonic)

    def add(self, figure: str) -> None:
        self.figures.append(figure)

    def require(self, what: str, number: int, *, at_least: int) -> None:
        """Report a count, and fail when the count is below its minimum."""
        self.add(f"{number} {what}")
        assert number >= at_least, f"{number} {what}: fewer than {at_least}, so this run proves nothing"

    def count(self, sagas: Iterable[Saga], faults: Counter[str]) -> None:
        self.ended = Counter(saga.status for saga in sagas)
        self.faults = faults

    def __str__(self) -> str:
        sagas = [f"{self.ended.total()} sagas: {self.ended['completed']} completed"]
        sagas += [f"{self.ended['compensated']} compensated", f"{self.stuck} stuck before an operator came"]
        sagas += [f"{self.ended.total() - self.ended['completed'] - self.ended['compensated']} not ended"]
        hit = {fault: number for fault, number in sorted(self.faults.items()) if fault != ARRIVED}
        calls = f"{sum(hit.values())} of {self.faults[ARRIVED]} calls hit"
        if hit:
            calls += f" ({', '.join(f'{number} {fault}' for fault, number in hit.items())})"
        heading = f"chaos {self.hazard}: seed {self.seed}, {time.monotonic() - self._since:.0f} s"
        return "; ".join([heading, ", ".join(sagas), calls, *self.figures])
