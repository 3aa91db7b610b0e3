"""What the saga decides of its conditions, compared with what they say by the replies in the journal."""

from typing import TYPE_CHECKING

from machines.history import replies
from machines.transitions import Direction, Phase, Trigger
from machines.verify.properties import Broken
from machines.verify.truth import truth_for
from machines.verify.world import Fact, Save, World, with_sources

if TYPE_CHECKING:
    from machines.verify.moves import Moves

#: Trigger that leaves a passing state with a decision → the decision, and what it does to the step.
_DECIDED = {
    Trigger.BEGIN: (True, "done"),
    Trigger.SKIP: (False, "skipped"),
    Trigger.REFUSED: (None, "refused as undecided"),
}
_SAYS = {True: "holds", False: "does not hold", None: "cannot be decided"}


class Decisions:
    """The check of the conditions of one table."""

    def __init__(self, moves: "Moves") -> None:
        self._moves = moves
        self._decides = any(step.when is not None for step in moves.definition.steps)

    def truth(self, name: str, facts: frozenset[Fact]) -> bool | None:
        """Return if the condition of a step holds, by the replies in the journal; None: it cannot be decided."""
        step = self._moves.by_name[name]
        if step.when is None:
            return True
        results = replies(self._moves.machinery.journal(facts))  # type: ignore[arg-type]
        return truth_for(step.when, self._moves.machinery.data, results)

    def of_commit(self, world: World, save: Save) -> Broken | None:
        """Return a broken property when a commit decides a condition wrongly. world: the state before it."""
        for number, (source, fact) in enumerate(with_sources(world, save) if self._decides else ()):
            at = self._moves.definition.states.get(source)
            if at is None or at.phase is not Phase.PASSING or fact.step not in self._moves.by_name:
                continue
            step = self._moves.by_name[fact.step]
            if step.when is not None and fact.direction == Direction.DO and fact.trigger in _DECIDED:
                facts = self._moves.journals.after(world.facts, save.moves[:number])
                if broken := self._wrong(fact, facts):
                    return broken
        return None

    def _wrong(self, fact: Fact, facts: frozenset[Fact]) -> Broken | None:
        decided, what = _DECIDED[Trigger(fact.trigger)]
        said = self.truth(fact.step, facts)
        if said is decided:
            return None
        return Broken("as its condition says", f"{fact.step} is {what}, and its condition {_SAYS[said]}")
