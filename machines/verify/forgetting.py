"""What a state of the search may forget after a commit, because nothing reads it any more."""

from functools import cache
from typing import TYPE_CHECKING

from machines.later import arrival_name
from machines.signals import can_still_wait, waits_of
from machines.statuses import Status
from machines.step import Step
from machines.transitions import Phase, State
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
        steps = moves.definition.steps
        self._position = {step.name: number for number, step in enumerate(steps)}
        #: Step → the index of the last step with an effect that is not behind it; -1: there is none.
        self._last = {
            step.name: sum(self._is_before(each, step) for each in moves.steps) - 1 for step in steps
        }  # fmt: skip

    def passed(self, world: World) -> World:
        """Return the state without the steps that a saga on its way back has passed, and that have left nothing.

        Nothing is sent to them any more, nothing is on the way to them, and they have nothing left to decide.
        """
        assert world.row is not None
        at = self._moves.definition.states[world.row.state]
        if not (at.undoes or at.phase is Phase.COMPENSATED):
            return world
        steps = self._moves.steps
        last = -1 if at.step is None else self._last[at.step.name]
        ledger = list(world.ledger)
        gone = set()
        for number in range(last + 1, len(ledger)):
            entry = ledger[number]
            to_come = entry.seen == "accepted" and not entry.closed
            if not (entry.effects or to_come or any(name == steps[number].name for name, _ in world.flight)):
                ledger[number] = Entry()
                gone.add(steps[number].name)
        gone |= {step.name for step in self._moves.children.steps if not at.step or not self._is_before(step, at.step)}
        return world._replace(
            ledger=tuple(ledger), facts=frozenset(fact for fact in world.facts if fact.step not in gone),
            kin=tuple(kin for kin in world.kin if kin.step not in gone or kin.stage.status != Status.COMPENSATED),
        )  # fmt: skip

    def is_ahead(self, step: Step, at: State) -> bool:
        """Return True when a saga that goes back, and is in this state, has not passed the step."""
        return at.step is not None and self._is_before(step, at.step)

    def _is_before(self, step: Step, other: Step) -> bool:
        """Return True when the step is not behind the other one."""
        return self._position[step.name] <= self._position[other.name]

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
        world = world._replace(arrivals=kept)
        return world._replace(row=world.row._replace(arrived=world.arrived))  # type: ignore[union-attr]

    def _live(self, state: str) -> frozenset[str]:
        """Return the names of the signals and answers for which a saga in this state waits, or may wait later."""
        definition = self._moves.definition
        signals = {
            step.waits.signal: step for step in waits_of(definition) if step.waits is not None and step.waits.signal
        }
        answers = {arrival_name(step.name): step for step in definition.steps if step.later is not None}
        return frozenset(name for name, step in (signals | answers).items() if can_still_wait(definition, state, step))
