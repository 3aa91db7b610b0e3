"""What a state of the search may forget after a commit, because nothing reads it any more."""

from functools import cache
from typing import TYPE_CHECKING

from machines.later import arrival_name
from machines.signals import can_still_wait, waits_of
from machines.transitions import Phase
from machines.verify.world import Entry, World

if TYPE_CHECKING:
    from machines.verify.moves import Moves

#: Stands for all arrivals whose waits have ended. No step waits for it, as for them.
_ENDED = ("", "")


class Forgetting:
    """The parts of the states of one table that may be forgotten."""

    def __init__(self, moves: "Moves") -> None:
        self._moves = moves
        self.live = cache(self._live)

    def passed(self, world: World) -> World:
        """Return the state without the steps that a saga on its way back has passed, and that have left nothing.

        Nothing is sent to them any more, and nothing is on the way to them.
        """
        assert world.row is not None
        at = self._moves.definition.states[world.row.state]
        if not (at.undoes or at.phase is Phase.COMPENSATED):
            return world
        steps = self._moves.steps
        last = -1 if at.step is None else self._moves.index[at.step.name]
        ledger = list(world.ledger)
        gone = set()
        for number in range(last + 1, len(ledger)):
            if not ledger[number].effects and not any(name == steps[number].name for name, _ in world.flight):
                ledger[number] = Entry()
                gone.add(steps[number].name)
        return world._replace(
            ledger=tuple(ledger), facts=frozenset(fact for fact in world.facts if fact.step not in gone)
        )

    def ended_waits(self, world: World) -> World:
        """Return the state without the signals and answers whose waits have ended.

        The loop only counts them. So one stands for all of them, and none is needed when no further wait can come. The
        process of the state must know all that has arrived, or must have released the saga.
        """
        if not world.arrivals or not self._moves.reduced:
            return world
        assert world.row is not None
        live = self.live(world.row.state)
        kept = frozenset(each for each in world.arrivals if each[0] in live)
        if live and kept != world.arrivals:
            kept |= {_ENDED}
        return world._replace(arrivals=kept, row=world.row._replace(arrived=len(kept)))

    def _live(self, state: str) -> frozenset[str]:
        """Return the names of the signals and answers for which a saga in this state waits, or may wait later."""
        definition = self._moves.definition
        signals = {
            step.waits.signal: step for step in waits_of(definition) if step.waits is not None and step.waits.signal
        }
        answers = {arrival_name(step.name): step for step in definition.steps if step.later is not None}
        return frozenset(name for name, step in (signals | answers).items() if can_still_wait(definition, state, step))
