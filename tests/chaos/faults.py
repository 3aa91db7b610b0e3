"""Faults that a call between the orchestrator and a participant may meet, and how often they occur."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    LOST_CALL = "lost call"
    #: The sender gets no answer. The participant receives the call much later, perhaps after the undo of the call.
    LATE_CALL = "late call"
    LOST_REPLY = "lost reply"
    DUPLICATE = "duplicate"
    LATE_DUPLICATE = "late duplicate"
    DELAY = "delay"
    #: The sender gets 500, and the call is not forwarded.
    ERROR_500 = "500"
    #: The call is forwarded, but the sender gets 503 instead of the reply.
    ERROR_503_AFTER = "503 after"
    #: A gateway's 503 when the participant behind it is away. A test sets this fault; it is never drawn at random.
    DOWN = "down"


DRAWN = tuple(fault for fault in Fault if fault is not Fault.DOWN)


@dataclass
class FaultSettings:
    """Fault settings of the proxy."""

    seed: int
    #: The share of the calls that get a fault, from 0 to 1.
    share: float = 0.0
    #: The faults from which the proxy chooses at random.
    kinds: Sequence[str] = DRAWN
    #: The longest delay in seconds. A late call takes up to four times as long.
    delay_s: float = 0.8
    #: The names of the participants that are away.
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
