"""What must be true in every state of the search."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from machines.history import Effect, effects_of
from machines.statuses import Status
from machines.transitions import Phase
from machines.verify.world import DUE_LATER, Fact, Save, World

if TYPE_CHECKING:
    from machines.verify.moves import Moves

#: Name of the property of a whole search.
CAN_COMPLETE = "can complete"
#: Property → what it says.
PROPERTIES: Mapping[str, str] = {
    "once": "each effect happens at most once",
    "nothing left": "when the saga is compensated, no effect is left that is not reported as unknown",
    "all done": "when the saga is completed, each step is done or was skipped",
    "nothing forward": "after the first undo no action is sent, and no child starts or goes on",
    "in time": "no saga starts before its time, and after the deadline no action is sent before the point of no return",
    "in reverse": "a step is undone only when all children of later steps are compensated",
    "no guess": "the saga takes a call as done, undone or not done only when it knows",
    "true report": "what the saga reports of each step is true",
    "as the table says": "a call sends what the table says, a child gets its values, and a reply is kept as it is",
    "as its condition says": "a step is sent or skipped as its condition says, and a skipped step is not undone",
    "as the signal says": "a wait lasts as its table says, and ends as the table says of its signal or of silence",
    "as often": "a call is sent as often as its table allows, and is not given up before",
    "allowed": "each action that is offered to an operator can be made",
    "no lost signal": "a saga never waits for what has arrived already, and the deadline does not drop it",
    "no lost end": "a saga never waits for children when their ends let it go on",
    "at most": "not more children run at once than the table allows",
    "somebody goes on": "while a saga has not ended and is not stuck, a process continues it",
    "ends": "every saga ends or is stuck: no path goes round for ever",
    "undo knows its id": "an undo that needs a value of its step's reply can get it again when the reply is lost",
    "can be sent": "each undo, probe, poll and call of at_end= can be built; after the pivot all calls and conditions",
    CAN_COMPLETE: "the saga can be completed without a person",
    "pivot too early": "no step after the point of no return is refused, when it could stand before",
    "stale read": "no action uses what was read before a long wait",
    "shared probe": "a probe or a poll finds only what its own saga has done",
    "shared undo": "an undo takes back only what its own saga has done",
    "short deadline": "children end their waits before the deadline of their parent",
    "untrue meaning": "a reply means what the table takes it for",
    "no error": "the engine raises no unexpected error",
}


class Broken(NamedTuple):
    """A property that does not hold."""

    property: str
    why: str
    #: True: only a participant that keeps no record of its undos can cause it, and no table can prevent it.
    risk: bool = False


class Properties:
    """The properties of the states of one table."""

    def __init__(self, moves: "Moves") -> None:
        self._moves = moves
        self._reports: dict[tuple[str, bool, frozenset[Fact]], Mapping[str, Effect]] = {}
        self._known: dict[tuple[Any, ...], Broken | None] = {}

    def of(self, world: World) -> Broken | None:
        """Return a property that does not hold in a state."""
        known = (world.row, world.facts, world.ledger, world.kin)
        if known not in self._known:
            self._known[known] = self._of(world)
        broken = self._known[known]
        return broken or self._waits_in_vain(world) or self._moves.kin_properties.waits_in_vain(world)

    def of_passed(self, world: World, save: Save) -> Broken | None:
        """Return a false report of a step that the saga has passed on its way back. save: a commit that follows."""
        at = self._moves.definition.states[save.row.state]
        if not (at.undoes or at.phase is Phase.COMPENSATED):
            return None
        after = self._moves.journals.after(world.facts, save.moves)
        return self._false_report(world._replace(row=save.row, facts=after), passed=True)

    def _of(self, world: World) -> Broken | None:
        for step, entry in zip(self._moves.steps, world.ledger, strict=True):
            if entry.effects > 1 or entry.times > 1:
                return Broken("once", f"{step.name} took effect twice", risk=entry.too_late)
        if world.row is None:
            return None
        phase = self._moves.definition.states[world.row.state].phase
        if phase not in (Phase.COMPENSATED, Phase.COMPLETED, Phase.STUCK):
            return None
        if phase is not Phase.STUCK and (broken := self._wrong_end(world, phase) or self._unfit_at_end(world)):
            return broken
        return self._false_report(world) or self._moves.kin_properties.of_end(world, phase, self._report(world))

    def _wrong_end(self, world: World, phase: Phase) -> Broken | None:
        report = self._report(world)
        for step, entry in zip(self._moves.steps, world.ledger, strict=True):
            effect = report[step.name]
            if phase is Phase.COMPENSATED and entry.effects and effect is not Effect.UNKNOWN:
                why = f"the saga is compensated and reports {step.name} as {effect}, but its effect is in force"
                return Broken("nothing left", why, risk=entry.too_late)
            if phase is Phase.COMPLETED and not entry.effects and effect is not Effect.SKIPPED:
                return Broken("all done", f"the saga is completed, but {step.name} has no effect")
        return None

    def _unfit_at_end(self, world: World) -> Broken | None:
        """Return a broken property when the call of `at_end=` cannot be built, or says something else."""
        assert world.row is not None
        call = self._moves.definition.states[world.row.state].at_end
        if call is None:
            return None
        why = self._moves.machinery.unfit_at_end(call, world.facts)
        if not why:
            return self._moves.sending.at_end(call, world.row.state, world.facts)
        return Broken("can be sent", f"the call of at_end= {world.row.state} ({call}) cannot be built: {why}")

    def _false_report(self, world: World, *, passed: bool = False) -> Broken | None:
        report = self._report(world)
        for step, entry in zip(self._moves.steps, world.ledger, strict=True):
            effect = report[step.name]
            says_done = effect is Effect.TOOK_EFFECT
            if effect is Effect.UNKNOWN or says_done == bool(entry.effects) or (passed and not says_done):
                continue
            is_so = "has an effect" if entry.effects else "has no effect"
            return Broken("true report", f"{step.name} is reported as {effect}, but it {is_so}", risk=entry.too_late)
        return None

    def _report(self, world: World) -> Mapping[str, Effect]:
        assert world.row is not None
        known = (world.row.state, world.row.unsure or world.row.claims > 0, world.facts)
        if known not in self._reports:
            moves = self._moves.machinery.journal(world.facts)
            found = effects_of(self._moves.definition, known[0], moves, in_doubt=known[1])
            self._reports[known] = {each.step.name: each.effect for each in found}
        return self._reports[known]

    def _waits_in_vain(self, world: World) -> Broken | None:
        row = world.row
        if row is None or world.process is not None or row.due != DUE_LATER or row.status == Status.PENDING:
            return None
        waits = self._moves.awaited(row.state)
        if waits is None or waits not in {name for name, _ in world.arrivals}:
            return None
        return Broken("no lost signal", f"{waits} has arrived, and the saga waits for it in {row.state}")
