"""The children of a saga in the search: what they may do, and what a commit of their parent does to them.

`machines.families` decides which children start and when their parent goes on. This module does what the database does:
it inserts children, asks them to compensate, and makes their parent due when they end.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from machines.groups import NewChild, StoredChild, is_sent_back
from machines.history import replies
from machines.references import look_up
from machines.statuses import FINISHED, Status
from machines.step import Step
from machines.verify.events import Edge, Event
from machines.verify.kinship import stored, with_replaced
from machines.verify.stages import ChildMove
from machines.verify.world import DUE_NOW, HELD, KNOWN_END, NEW_END, Fact, Kin, Save, Stage, World

if TYPE_CHECKING:
    from machines.verify.moves import Moves

#: Status of a child → what its move is called. The key of a stuck child also says if it is stuck in a compensation.
_NAMES = {
    (Status.RUNNING, False): "goes on", (Status.COMPENSATING, False): "begins to compensate",
    (Status.STUCK, False): "is stuck", (Status.STUCK, True): "is stuck in a compensation",
    (Status.COMPLETED, False): "is completed", (Status.COMPENSATED, False): "is compensated",
}  # fmt: skip


class Children:
    """The children of the sagas of one table."""

    def __init__(self, moves: "Moves") -> None:
        self._moves, self.kinship = moves, moves.machinery.kinship
        self.steps = [step for step in moves.definition.steps if step.starts is not None]
        self._moves_of = cache(self._find_moves)
        self._counts: dict[tuple[str, frozenset[Fact]], int] = {}

    # What children do ------------------------------------------------------------------------------------------------

    def events(self, world: World) -> Iterator[Edge]:
        """Yield every commit of a child."""
        for kin in world.kin:
            for move in self._moves_of(kin):
                what = _NAMES[Status(move.stage.status), move.stage.undoes]
                event = Event("child by hand" if move.by_hand else "child", kin.step, what, str(kin.number))
                forever = not move.by_hand and move.stage != kin.stage
                yield Edge(event, self._moved(world, kin, move), forever=forever)

    def moving(self, world: World) -> bool:
        """Return True when a child may commit something."""
        return any(self._moves_of(kin) for kin in world.kin)

    def _find_moves(self, kin: Kin) -> list[ChildMove]:
        found = self.kinship.stages_of(kin).moves.get(kin.stage, ())
        return sorted(move for move in found if self.kinship.stuck or not (move.by_hand or _is_stuck(move)))

    def _moved(self, world: World, kin: Kin, move: ChildMove) -> World:
        after = kin._replace(stage=move.stage)
        world = world._replace(kin=tuple(after if each is kin else each for each in world.kin))
        if not move.wakes:
            return world
        left = [each for each in world.kin if each.step == kin.step and each.stage.status not in FINISHED]
        return self._woken(world, due=not (move.quiet and left))

    @staticmethod
    def _woken(world: World, *, due: bool = True) -> World:
        """Return the state after the end of a child, as `app.store.children` stores it. due: the parent becomes due."""
        row = world.row
        assert row is not None
        waits = row.due != HELD and row.status in (Status.WAITING, Status.COMPENSATING)
        world = world._replace(ends=NEW_END)
        row = row._replace(arrived=world.arrived, due=DUE_NOW if due and waits else row.due)
        return world._replace(row=row)

    # What a commit of the parent does --------------------------------------------------------------------------------

    def committed(self, world: World, save: Save) -> World:
        """Return the state after a commit of the parent, with the children that it inserts or asks to compensate.

        world: the state after the commit, with the children before it.
        """
        at = self._moves.definition.states[save.row.state]
        if at.step is None or at.undoes or any(kin.step != at.step.name for kin in world.kin if kin.again):
            world = _without_replaced(world)
        if not at.awaits_child or at.step is None:
            return world
        if at.undoes:
            asked = tuple(self._sent_back(each, at.step.name, world) for each in world.kin)
            ended = [old for old, new in zip(world.kin, asked, strict=True) if old != new and self._is_idle(old, world)]
            world = world._replace(kin=asked)
            return self._woken(world) if ended else world
        new = self.inserted(world, save)
        if not new:
            return world
        places = {(kin.step, self.place(kin, world)) for kin in new}
        # One child that was replaced is enough to see if it is taken for its successor.
        kept = [kin for kin in _without_replaced(world).kin if (kin.step, self.place(kin, world)) not in places]
        first = next((kin for kin in new if kin.again), None)
        new = [kin if kin is first else kin._replace(again=0) for kin in new]
        order = [step.name for step in self.steps]
        kin = sorted((*kept, *new), key=lambda each: (order.index(each.step), each.number))
        world = world._replace(kin=tuple(kin))
        return self._woken(world) if any(kin.stage.status in FINISHED for kin in new) else world

    def words(self, world: World, save: Save) -> str:
        """Return what a commit does to the children, as the end of its sentence. world: the state before it."""
        at = self._moves.definition.states[save.row.state]
        if not at.awaits_child or at.step is None:
            return ""
        facts = self._moves.journals.after(world.facts, save.moves)
        after = world._replace(row=save.row, facts=facts)
        if at.undoes:
            now = self.committed(after, save).kin
            asked = [str(new.number) for old, new in zip(world.kin, now, strict=True) if old != new]
            return f", and asks child {' and '.join(asked)} of {at.step.name} to compensate" if asked else ""
        new = self.inserted(after, save)
        again = " again" if any(kin.again for kin in new) else ""
        return f", with child {' and '.join(str(kin.number) for kin in new)} of {at.step.name}{again}" if new else ""

    def inserted(self, world: World, save: Save) -> list[Kin]:
        """Return the children that a commit inserts, as `machines.families` decides. world: the state after it."""
        step, found = self._moves.definition.states[save.row.state].step, []
        assert step is not None
        known = self._known(world, step)
        for new in self.new(world, save):
            table = (new.definition.name, new.definition.version)
            place = self._place(new.number, step, world)
            before = any(self._place(child.child_number, step, world) == place for child in known)
            again = min(new.number, place + 1 + self.count(step, world)) if before else 0
            found.append(Kin(step.name, place + 1, *table, self.kinship.born(table, step.name, place), again))
        return found

    def new(self, world: World, save: Save) -> Sequence[NewChild]:
        """Return the children that a commit inserts, with their data. world: the state after it."""
        step = self._moves.definition.states[save.row.state].step
        if save.missing is None or step is None:
            return ()
        found: Sequence[NewChild] = save.missing(self._known(world, step), save.retried)
        return found

    def _known(self, world: World, step: Step) -> list[StoredChild]:
        return [stored(self.kinship, kin) for kin in with_replaced([kin for kin in world.kin if kin.step == step.name])]

    def count(self, step: Step, world: World) -> int:
        """Return the number of children that a step has in the end."""
        if step.group is None:
            return 1
        if step.group.over is None:
            return len(step.group.branches)
        known = (step.group.over, world.facts)
        if known not in self._counts:
            machinery = self._moves.machinery
            results = replies(machinery.journal(world.facts))  # type: ignore[arg-type]
            self._counts[known] = len(look_up(step.group.over, machinery.data, results))
        return self._counts[known]

    def place(self, kin: Kin, world: World) -> int:
        """Return the place of a child among those of its step, from 0."""
        step = next(step for step in self.steps if step.name == kin.step)
        return self._place(kin.number, step, world)

    def _place(self, number: int, step: Step, world: World) -> int:
        return (number - 1) % max(self.count(step, world), 1)

    def read(self, world: World) -> World:
        """Return the state after a process has read the row of the saga, and so knows of every end."""
        return world._replace(ends=KNOWN_END) if world.ends == NEW_END else world

    def _sent_back(self, kin: Kin, step: str, world: World) -> Kin:
        """Return a child after its parent has asked the children of a step to compensate."""
        if kin.step != step or not is_sent_back(kin.stage.status, goes_back=kin.stage.goes_back):
            return kin
        if self._is_idle(kin, world):
            return kin._replace(stage=Stage(Status.COMPENSATED, goes_back=True))
        return kin._replace(stage=kin.stage._replace(goes_back=True))

    def _is_idle(self, kin: Kin, world: World) -> bool:
        return (kin.step, self.place(kin, world)) in self.kinship.idle


def _without_replaced(world: World) -> World:
    return world._replace(kin=tuple(kin._replace(again=0) for kin in world.kin))


def _is_stuck(move: ChildMove) -> bool:
    return move.stage.status == Status.STUCK
