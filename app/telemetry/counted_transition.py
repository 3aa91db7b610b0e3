"""A transition of a saga's table, with the properties that counters and log lines need."""

from typing import NamedTuple

from machines.history import outcome_of_move
from machines.outcomes import Outcome
from machines.running import Move
from machines.transitions import GIVES_UP, Phase, State, Trigger

#: The labels of a transition.
LABELS = ("saga", "source", "trigger", "dest")


class CountedTransition(NamedTuple):
    """A transition. Its properties decide which counters count it."""

    #: Name of the definition.
    saga: str
    #: State before the move; None for the move that creates a saga.
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
        """Return True when a forward step fails, so that the saga does not go forward any more."""
        return self._leaves_action() and self.trigger in GIVES_UP

    @property
    def succeeds(self) -> bool:
        """Return True when the transition completes a forward step."""
        return self._leaves_action() and self.trigger == Trigger.SUCCEEDED

    @property
    def compensates(self) -> bool:
        """Return True when the transition completes the compensation of a step."""
        return self._leaves(Phase.UNDOING) and self.trigger == Trigger.SUCCEEDED

    @property
    def retries(self) -> bool:
        """Return True when the engine sends the call again. A retry by a person is another transition, from stuck."""
        return self.trigger == Trigger.RETRY and self.source is self.dest

    @property
    def sticks(self) -> bool:
        """Return True when the saga is stuck after the transition."""
        return self.dest.phase is Phase.STUCK

    def _leaves_action(self) -> bool:
        """Return True when an action was in flight, or accepted and not answered yet."""
        return self._leaves(Phase.FORWARD) or (self.source is not None and self.source.awaits_answer)

    def _leaves(self, phase: Phase) -> bool:
        return self.source is not None and self.source.phase is phase


def outcome(move: Move) -> Outcome | None:
    """Return the outcome of the attempt that caused this move; None when no attempt caused it."""
    return None if move.duration_ms is None else outcome_of_move(move.trigger, move.status_code)
