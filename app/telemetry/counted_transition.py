"""One row of a table as it is counted, and what became of the attempt that led along it."""

from typing import NamedTuple

from app.store.instance import Move
from machines.history import outcome_of_move
from machines.progress import Outcome
from machines.transitions import FAILURES, Phase, State, Trigger

#: The labels of a row.
LABELS = ("saga", "source", "trigger", "dest")
#: The trigger of the move that begins a saga, which is in no table.
START = "start"

_FAILURES = FAILURES | {Trigger.CANCEL}


class Row(NamedTuple):
    """source: None of the move that begins a saga."""

    saga: str
    source: State | None
    trigger: str
    dest: State

    @property
    def labels(self) -> tuple[str, str, str, str]:
        return self.saga, self.source.name if self.source else "", self.trigger, self.dest.name

    @property
    def step(self) -> str:
        step = (self.source or self.dest).step
        return step.name if step else ""

    @property
    def fails(self) -> bool:
        """Return True when the transition ends a saga's way forward."""
        return self._leaves(Phase.FORWARD) and self.trigger in _FAILURES

    @property
    def does(self) -> bool:
        return self._leaves(Phase.FORWARD) and self.trigger == Trigger.SUCCEEDED

    @property
    def undoes(self) -> bool:
        return self._leaves(Phase.UNDOING) and self.trigger == Trigger.SUCCEEDED

    @property
    def again(self) -> bool:
        """Does the engine send the call again? A person's retry leaves another state."""
        return self.trigger == Trigger.RETRY and self.source is self.dest

    @property
    def sticks(self) -> bool:
        return self.dest.phase is Phase.STUCK

    def _leaves(self, phase: Phase) -> bool:
        return self.source is not None and self.source.phase is phase


def outcome(move: Move) -> Outcome | None:
    """Tell what became of the attempt that made this move, if one did."""
    return None if move.duration_ms is None else outcome_of_move(move.trigger, move.status_code)
