"""What came to a saga from outside: time, signals, later answers and people."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Act:
    """Something that came from outside while the saga was at rest."""

    #: State in which the saga rested.
    state: str
    #: Method of `machines.testing.Run`: after, signal, answer, retry, compensate or resolve.
    method: str
    arguments: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)
    #: Seconds from the move before, as the journal has them.
    gap_s: float = 0.0
    #: When it came.
    at: dt.datetime
    #: The child that it was for, from the root: name and number of the item of each; () for the root.
    child: tuple[tuple[str, int | None], ...] = ()
