"""What a commit takes as known: the saga must not guess what a participant has done."""

from typing import TYPE_CHECKING

from machines.statuses import Status
from machines.transitions import DONE, Direction, Phase
from machines.verify.machinery import lacked
from machines.verify.properties import Broken
from machines.verify.world import HELD, Fact, Save, World

if TYPE_CHECKING:
    from machines.verify.moves import Moves


class Guesses:
    """The check of the commits of one table."""

    def __init__(self, moves: "Moves") -> None:
        self._moves = moves
        #: Why the step of the last such commit was refused although nothing of it was sent; "": there was none.
        self.unsent = ""

    def of(self, world: World, save: Save) -> Broken | None:
        """Return the property that a commit breaks by what it takes as known."""
        for fact in save.moves:
            if fact.unfit:
                self.unsent = f"{fact.step} is not sent: {fact.unfit}"
            if fact.unfit and self._moves.definition.states[fact.dest].phase is Phase.STUCK:
                why = f"{fact.step} is not sent, and the saga is stuck after the point of no return: {fact.unfit}"
                return Broken("can be sent", why)
            if fact.by_hand or not fact.step or fact.trigger not in DONE:
                continue
            if save.row.goes_back and fact.direction == Direction.DO:
                why = f"{fact.step} is done, and the parent has asked the saga to compensate"
                return Broken("nothing forward", why)
            if broken := self._lacks(fact) or self._kept_wrongly(fact):
                return broken
            if fact.step not in self._moves.index:
                continue
            entry = world.ledger[self._moves.index[fact.step]]
            if fact.direction == Direction.DO and not entry.times:
                return Broken("no guess", f"the saga takes {fact.step} as done, and its participant has not done it")
            if fact.direction == Direction.UNDO and entry.effects and not (entry.too_late or fact.not_found):
                return Broken("no guess", f"the saga takes {fact.step} as undone, and its effect is in force")
        return (
            self._starts_early(world, save)
            or self._disobeys(save)
            or self._moves.decisions.of_commit(world, save)
            or self._moves.kin_properties.of_commit(world, save)
            or self._moves.wait_ends.of_commit(world, save)
            or self._moves.publishing.of_commit(world, save)
            or self.of_way_back(world, save)
            or self._moves.properties.of_passed(world, save)
            or self._moves.attempting.of_commit(world, save)
        )

    def _starts_early(self, world: World, save: Save) -> Broken | None:
        """Return a broken property when a saga starts whose start time has not come. world: before the commit."""
        if world.over or world.row is None or not world.row.status == Status.PENDING != save.row.status:
            return None
        return Broken("in time", "the saga starts, and its start time has not come")

    def _disobeys(self, save: Save) -> Broken | None:
        """Return a broken property when a child rests that its parent has asked to compensate."""
        at = self._moves.definition.states[save.row.state]
        if not save.row.goes_back or save.row.due == HELD or at.undoes or at.phase is Phase.COMPENSATED:
            return None
        why = f"the parent has asked the saga to compensate, and the saga is released in {at.name}"
        return Broken("somebody goes on", why)

    def _lacks(self, fact: Fact) -> Broken | None:
        """Return a broken property when the saga takes a call as done whose reply lacks a field."""
        step = self._moves.by_name[fact.step]
        if fact.direction != Direction.DO or step.call is None or step.starts is not None:
            return None
        name = lacked(self._moves.definition, step, self._moves.machinery.bodies.value(fact.body))
        return Broken("no guess", f"the saga takes {step.name} as done, and its reply lacks {name}") if name else None

    def _kept_wrongly(self, fact: Fact) -> Broken | None:
        return self._moves.sending.of_reply(fact) if fact.direction == Direction.DO else None

    def of_way_back(self, world: World, save: Save) -> Broken | None:
        """Return the property that a commit breaks with which the saga begins to go back, or goes on to do so."""
        before = world.row and self._moves.definition.states[world.row.state]
        after = self._moves.definition.states[save.row.state]
        if before and before.phase is Phase.UNDOING and after != before and after.phase is not Phase.STUCK:
            name = before.step.name if before.step else ""
            known = any(
                each.step == name and each.trigger in DONE and each.direction == Direction.UNDO for each in save.moves
            )
            return None if known else Broken("no guess", f"the saga goes on, and nobody knows if {name} is undone")
        goes = after.phase in (Phase.UNDOING, Phase.COMPENSATED) or after.undoes
        if not goes or (before is not None and (before.undoes or before.phase is Phase.COMPLETED)):
            return None
        for step in self._moves.steps:
            entry = world.ledger[self._moves.index[step.name]]
            to_come = entry.seen == "accepted" or any(name == step.name for name, _ in world.flight)
            if not (entry.effects or to_come):
                continue
            is_or_may = "is done" if entry.effects else "may still be done"
            if step.undo is None:
                return Broken("no guess", f"the saga goes back, although {step.name} {is_or_may} and has no undo")
            if not self._moves.forgetting.is_ahead(step, after):
                return Broken("no guess", f"the saga goes back and leaves out {step.name}, although it {is_or_may}")
        return None
