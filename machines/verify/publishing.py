"""The events that the commits of a saga publish, compared with those that its table has for the states it enters."""

from typing import TYPE_CHECKING

from machines.transitions import Phase, Trigger
from machines.verify.properties import Broken
from machines.verify.world import Fact, Save, World, with_sources

if TYPE_CHECKING:
    from machines.verify.moves import Moves

#: States of a step that a saga has not left behind; a skipped step only passes by them.
_AHEAD = (Phase.PASSING, Phase.FORWARD, Phase.WAITING)


class Publishing:
    """The check of the events of one table."""

    def __init__(self, moves: "Moves") -> None:
        self._moves, self._events = moves, moves.definition.events

    def of_commit(self, world: World, save: Save) -> Broken | None:
        """Return a broken property when a commit publishes other events than the table says. world: before it."""
        for number, (source, fact) in enumerate(with_sources(world, save) if self._events else ()):
            facts = self._moves.journals.after(world.facts, save.moves[:number])
            enters = source != fact.dest and fact.trigger != Trigger.RETRY and not self._passes(fact, facts)
            said = self._events.get(fact.dest, "") if enters else ""
            if fact.event != said:
                one, other = (each or "no event" for each in (fact.event, said))
                why = f"the move to {fact.dest} by {fact.trigger} publishes {one}, and its table says {other}"
                return Broken("as the table says", why)
        return None

    def _passes(self, fact: Fact, facts: frozenset[Fact]) -> bool:
        """Return True for a move to a state that a skipped step only passes by."""
        at = self._moves.definition.states[fact.dest]
        skips = fact.trigger == Trigger.SKIP and at.phase in _AHEAD
        skipped = {each.step for each in facts | {fact} if each.trigger == Trigger.SKIP}
        return skips or (at.phase is Phase.UNDOING and at.step is not None and at.step.name in skipped)
