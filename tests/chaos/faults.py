"""Faults that a call between the orchestrator and a participant may meet, and how often they occur."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    LOST_CALL = "lost call"
    #: The sender loses the call; the participant receives the call much later, perhaps after its undo.
    LATE_CALL = "late call"
    LOST_REPLY = "lost reply"
    DUPLICATE = "duplicate"
    LATE_DUPLICATE = "late duplicate"
    DELAY = "delay"
    #: The connection is lost before the call was forwarded, or afterwards.
    ERROR_500 = "500"
    ERROR_503_AFTER = "503 after"
    #: Never drawn at random: a gateway reports that its service is away.
    DOWN = "down"


DRAWN = tuple(fault for fault in Fault if fault is not Fault.DOWN)


@dataclass
class FaultSettings:
    """Fault settings of the proxy.

    share: the share of calls with a fault. kinds: the possible faults. delay_s: the longest delay; a late call takes
    up to four times as long. down: the participants that are away.
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
