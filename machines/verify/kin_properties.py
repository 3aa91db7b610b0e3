"""What must be true of the children of a saga, in each commit of the saga and in each state of the search."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from machines.history import Effect
from machines.statuses import FINISHED, Status
from machines.step import Step
from machines.transitions import DONE, Direction, Phase, Trigger
from machines.verify.properties import Broken
from machines.verify.world import DUE_LATER, Fact, Kin, Save, World

if TYPE_CHECKING:
    from machines.verify.moves import Moves


class KinProperties:
    """The properties of the children of one table."""

    def __init__(self, moves: "Moves") -> None:
        self._moves = moves
        self._position = {step.name: number for number, step in enumerate(moves.definition.steps)}

    def of_commit(self, world: World, save: Save) -> Broken | None:
        """Return the property that a commit of the saga breaks. world: the state before it."""
        children = self._moves.children
        if not children.steps:
            return None
        facts = self._moves.journals.after(world.facts, save.moves)
        after = world._replace(row=save.row, facts=facts)
        at = self._moves.definition.states[save.row.state]
        broken = self._taken_wrongly(after, save)
        if broken is None and (at.undoes or at.phase is Phase.COMPENSATED):
            broken = self._left_behind(after, self._position[at.step.name] if at.step else -1)
        if broken is None and at.awaits_child and not at.undoes and at.step is not None:
            broken = self._started_wrongly(after, save, at.step) or self._moves.sending.of_children(
                after, save, at.step
            )
        if broken is None and save.missing is not None and at.undoes and at.step is not None:
            broken = Broken("nothing forward", f"children of {at.step.name} still start, and the saga undoes the step")
        if broken is None and at.awaits_child and at.undoes and at.step is not None:
            broken = self._not_asked(children.committed(after, save), at.step)
        return broken

    def _taken_wrongly(self, world: World, save: Save) -> Broken | None:
        """Return a broken property when the saga takes a step as done or undone, and its children are not."""
        for fact in save.moves:
            step = next((each for each in self._moves.children.steps if each.name == fact.step), None)
            if step is None:
                continue
            kin = _of(world, step)
            if fact.trigger == Trigger.REFUSED and kin and not any(map(_goes_back, kin)):
                why = f"the saga takes {step.name} as refused, and {' and '.join(map(_named, kin))}"
                return Broken("no guess", why)
            if fact.trigger not in DONE:
                continue
            undone = fact.direction == Direction.UNDO
            enough = (Status.COMPENSATED,) if undone else FINISHED if fact.by_hand else (Status.COMPLETED,)
            taken = "undone" if undone else "done"
            if child := next((each for each in kin if each.stage.status not in enough), None):
                return Broken("no guess", f"the saga takes {step.name} as {taken}, and {_named(child)}")
            if undone or fact.by_hand:
                continue
            if len(kin) < self._moves.children.count(step, world):
                return Broken("no guess", f"the saga takes {step.name} as done, and not all of its children started")
            if broken := self._moves.sending.of_result(world, step, fact):
                return broken
        return None

    def _left_behind(self, world: World, position: int) -> Broken | None:
        """Return a broken property when the saga goes back past a step whose children are not compensated."""
        for kin in world.kin:
            if self._position[kin.step] > position and kin.stage.status != Status.COMPENSATED:
                return Broken("in reverse", f"the saga goes back past {kin.step}, and {_named(kin)}")
        return None

    def _not_asked(self, world: World, step: Step) -> Broken | None:
        for kin in _of(world, step):
            if kin.stage.status != Status.COMPENSATED and not kin.stage.goes_back:
                why = f"the saga undoes {step.name}, and {_named(kin)} and is not asked to compensate"
                return Broken("nothing forward", why)
        return None

    def _started_wrongly(self, world: World, save: Save, step: Step) -> Broken | None:
        """Return a broken property when a commit inserts a child that must not start."""
        children, kin = self._moves.children, _of(world, step)
        new = children.inserted(world, save)
        if not new:
            return None
        if again := next((each for each in new if each.number == each.again), None):
            return Broken("once", f"child {again.number} of {step.name} starts again, and does not get a new number")
        places = {children.place(each, world) for each in new}
        for each in kin:
            replaced = children.place(each, world) in places
            if replaced and not (save.retried and each.stage.status == Status.COMPENSATED):
                return Broken("once", f"a second child of {step.name} starts, and {_named(each)}")
            if not replaced and _goes_back(each):
                return Broken("nothing forward", f"child {new[0].number} of {step.name} starts, and {_named(each)}")
        under_way = [each for each in (*kin, *new) if each.stage.status not in FINISHED]
        most = step.group.at_most if step.group is not None else None
        if most is not None and len(under_way) > most:
            return Broken("at most", f"{len(under_way)} children of {step.name} run, and its table allows {most}")
        return None

    def of_end(self, world: World, phase: Phase, report: Mapping[str, Effect]) -> Broken | None:
        """Return a broken property of a saga that has ended or is stuck. report: what it reports of each step."""
        for step in self._moves.children.steps:
            kin, effect = _of(world, step), report[step.name]
            child = next((each for each in kin if each.stage.status != Status.COMPLETED), None)
            if phase is Phase.COMPLETED and child and not _by_hand(world.facts, step):
                return Broken("all done", f"the saga is completed, and {_named(child)}")
            left = next((each for each in kin if each.stage.status != Status.COMPENSATED), None)
            if left and effect in (Effect.NOT_DONE, Effect.UNDONE, Effect.SKIPPED):
                return Broken("true report", f"{step.name} is reported as {effect}, and {_named(left)}")
        return None

    def waits_in_vain(self, world: World) -> Broken | None:
        """Return a broken property when a saga that was released waits, although it could go on."""
        row = world.row
        if row is None or world.process is not None or row.due != DUE_LATER or row.status == Status.PENDING:
            return None
        at = self._moves.definition.states[row.state]
        if not at.awaits_child or at.step is None:
            return None
        back = next((kin for kin in _of(world, at.step) if _goes_back(kin)), None)
        if back is not None and at.step.group is not None and not at.undoes:
            return Broken("no lost end", f"the saga waits in {row.state}, although {_named(back)}")
        if not self._could_go_on(world, at.step, undoes=at.undoes):
            return None
        kin = "; ".join(map(_named, _of(world, at.step))) or "it has no children"
        return Broken("no lost end", f"the saga waits in {row.state} and could go on: {kin}")

    def _could_go_on(self, world: World, step: Step, *, undoes: bool) -> bool:
        """Return True when a saga that waits for children could end its wait, or start another child."""
        kin = _of(world, step)
        if undoes:
            return all(each.stage.status == Status.COMPENSATED for each in kin)
        under_way = sum(each.stage.status not in FINISHED for each in kin)
        if step.group is None:
            return not under_way
        most = under_way + 1 if step.group.at_most is None else step.group.at_most
        left = self._moves.children.count(step, world) - len(kin)
        return under_way < most if left else not under_way


def _of(world: World, step: Step) -> list[Kin]:
    return [kin for kin in world.kin if kin.step == step.name]


def _goes_back(kin: Kin) -> bool:
    return kin.stage.undoes or kin.stage.status in (Status.COMPENSATING, Status.COMPENSATED)


def _by_hand(facts: frozenset[Fact], step: Step) -> bool:
    return any(fact.step == step.name and fact.by_hand and fact.trigger == Trigger.SUCCEEDED for fact in facts)


def _named(kin: Kin) -> str:
    of = " in a compensation" if kin.stage.undoes else ""
    return f"its child {kin.number} of {kin.step} is {kin.stage.status}{of}"
