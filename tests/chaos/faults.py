"""What can happen to a call between the orchestrator and a participant, and how often it does."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    LOST_CALL = "lost call"
    #: Lost to its sender, and delivered when he has long gone on: maybe after its undo.
    LATE_CALL = "late call"
    LOST_REPLY = "lost reply"
    DUPLICATE = "duplicate"
    LATE_DUPLICATE = "late duplicate"
    DELAY = "delay"
    #: Without having been forwarded, and after it.
    ERROR_500 = "500"
    ERROR_503_AFTER = "503 after"
    #: By order, not drawn: a gateway that says that its service is away.
    DOWN = "down"


DRAWN = tuple(fault for fault in Fault if fault is not Fault.DOWN)


@dataclass
class Weather:
    """share: of the calls that are hit. kinds: by what. delay_s: the longest; a late call is up to four times as late.
    down: the participants that are away.
    """

    seed: int
    share: float = 0.0
    kinds: Sequence[str] = DRAWN
    delay_s: float = 0.8
    down: Sequence[str] = ()
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self, path: str) -> Fault | None:
        if path.split("/")[1] in self.down:
            return Fault.DOWN
        return Fault(self._random.choice(self.kinds)) if self._random.random() < self.share else None

    def wait_s(self) -> float:
        return self._random.uniform(0.05, self.delay_s)

    def coin(self) -> bool:
        return self._random.random() < 0.5
