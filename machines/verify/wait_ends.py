"""What ends a wait: what the table says of a signal or of silence, compared with what the saga has recorded.

The meaning of a signal is read here from the table itself, so a mistake of the engine does not hide itself.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from machines.later import arrival_name
from machines.outcomes import Outcome
from machines.references import parts
from machines.step import Kind, Step
from machines.transitions import State, Trigger
from machines.verify.properties import Broken
from machines.verify.world import Fact, Save, World, with_sources
from machines.waiting import Waiting

if TYPE_CHECKING:
    from machines.verify.moves import Moves

#: Trigger that ends a wait → the outcome that it records.
_RECORDED: Mapping[str, Outcome] = {
    Trigger.SUCCEEDED: Outcome.SUCCEEDED, Trigger.REFUSED: Outcome.REFUSED, Trigger.EXHAUSTED: Outcome.IN_DOUBT,
}  # fmt: skip
_SAYS = {Outcome.SUCCEEDED: "done", Outcome.REFUSED: "refused", Outcome.IN_DOUBT: "unknown"}


def meaning_of(waits: Waiting, body: Any) -> Outcome:
    """Return what the table says of a signal with this body: the first field with a meaning decides."""
    for path, meanings in waits.means.items():
        value = body
        for name in parts(path):
            value = value.get(name) if isinstance(value, Mapping) else None
        named = [outcome for known, outcome in meanings.items() if (type(known), known) == (type(value), value)]
        if named:
            return Outcome(named[0])
    return Outcome.SUCCEEDED


class WaitEnds:
    """The check of the commits that end a wait of one table."""

    def __init__(self, moves: "Moves") -> None:
        self._moves = moves
        steps = moves.definition.steps
        kinds = [step.kind for step in steps]
        self._returns = {
            step.name: not {Kind.PIVOT, Kind.RETRIABLE} & set(kinds[:number]) for number, step in enumerate(steps)
        }

    def of_commit(self, world: World, save: Save) -> Broken | None:
        """Return the property that a commit breaks by what it takes as said. world: the state before it."""
        if not self._moves.races:
            return None
        found = (self._of(world, save, at, fact) for at, fact in self._ends(world, save))
        return next((broken for broken in found if broken is not None), None) or self._drops_answer(world, save)

    def _drops_answer(self, world: World, save: Save) -> Broken | None:
        """Return a broken property when a saga gives up a call in doubt whose answer had arrived before.

        world: the state before the commit.
        """
        for source, fact in with_sources(world, save):
            at = self._moves.definition.states.get(source)
            gives_up = fact.trigger in (Trigger.EXHAUSTED, Trigger.EXPIRE) and not fact.by_hand
            if at is None or not at.called_back or not gives_up or save.known != world.arrived:
                continue
            if any(name == arrival_name(fact.step) for name, _ in world.arrivals):
                return Broken("no lost signal", f"the answer to {fact.step} has arrived, and the saga gives it up")
        return None

    def _ends(self, world: World, save: Save) -> Iterator[tuple[State, Fact]]:
        """Yield each move of the engine out of a state that waits, with this state."""
        for source, fact in with_sources(world, save):
            at = self._moves.definition.states.get(source)
            if at is not None and at.waits is not None and not fact.by_hand and fact.dest != source:
                yield at, fact

    def _of(self, world: World, save: Save, at: State, fact: Fact) -> Broken | None:
        name = self._moves.awaited(at.name)
        kind = None if name is None else dict(world.arrivals).get(name)
        is_known = kind is not None and save.known == world.arrived  # otherwise it came while the process was at work
        if fact.trigger == Trigger.EXPIRE and is_known:
            return Broken("no lost signal", f"what {fact.step} waits for has arrived, and the deadline ends its wait")
        if not isinstance(at.waits, Waiting) or at.step is None or fact.trigger not in _RECORDED:
            return None
        said = None if kind is None else self._said(at.waits, kind)
        silence = self._silence(at.waits, at.step) if world.over else None
        recorded = _RECORDED[fact.trigger]
        allowed = [each for each in (said, None if is_known else silence) if each is not None]
        if recorded in allowed:
            return None
        if not allowed:
            return Broken("as the signal says", f"the wait of {fact.step} ends, and its time is not over")
        what = f"the signal {at.waits.signal}" if said is not None else f"no signal {at.waits.signal} in time"
        why = f"{what} means {_SAYS[allowed[0]]} for {fact.step}, and the saga takes it as {_SAYS[recorded]}"
        return Broken("as the signal says", why)

    def _said(self, waits: Waiting, kind: str) -> Outcome:
        assert waits.signal is not None
        return meaning_of(waits, self._moves.machinery.arrivals[waits.signal, kind])

    def _silence(self, waits: Waiting, step: Step) -> Outcome:
        """Return what the table says when the time of a wait is over."""
        if waits.signal is None:
            return Outcome.SUCCEEDED
        return waits.over or (Outcome.REFUSED if self._returns[step.name] else Outcome.IN_DOUBT)
