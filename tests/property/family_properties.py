"""The properties of a saga with its children, at any time and at its end.

Which children a step must have is decided here from the rows alone, and not by the functions that the engine uses.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from machines.saga import Saga
from machines.step import Kind, Step
from machines.transitions import DONE, Direction, Trigger
from tests.property import properties
from tests.property.family_world import FamilySimulation
from tests.property.participant import own_id

FINISHED = ("completed", "compensated")


@dataclass(frozen=True)
class Families:
    """All sagas of a simulation at one time."""

    world: FamilySimulation

    @cached_property
    def sagas(self) -> list[Row[Any]]:
        return self.world.sagas()

    @cached_property
    def journals(self) -> dict[UUID, list[Row[Any]]]:
        return self.world.journals()

    def table(self, saga: Row[Any]) -> Saga:
        return self.world.registry.of(saga)

    def children(self, saga: Row[Any], step: Step | None = None) -> list[Row[Any]]:
        found = [each for each in self.sagas if each.parent_id == saga.id and step in (None, self._step(saga, each))]
        return sorted(found, key=lambda each: (each.parent_step, each.child_number))

    def _step(self, saga: Row[Any], child: Row[Any]) -> Step:
        return next(step for step in self.table(saga).steps if step.name == child.parent_step)

    def count(self, saga: Row[Any], step: Step) -> int:
        """Return how many children a step must have: one, one for each branch, or one for each item."""
        if step.group is None:
            return 1
        return len(step.group.branches if step.group.over is None else saga.data[step.group.over])

    def newest(self, saga: Row[Any], step: Step) -> list[Row[Any]]:
        """Return the newest child of each place of a step, in the order of the places."""
        count = self.count(saga, step)
        return [
            child for _, child in sorted({(c.child_number - 1) % count: c for c in self.children(saga, step)}.items())
        ]

    def goes_back(self, saga: Row[Any]) -> bool:
        return saga.status in ("compensating", "compensated") or (
            saga.status == "stuck" and self.world.state_of(saga).undoes
        )

    def resolved(self, saga: Row[Any], step: Step) -> bool:
        return any(move.trigger == Trigger.RESOLVE and move.step == step.name for move in self.journals[saga.id])

    def skipped(self, saga: Row[Any]) -> set[str]:
        return {step.name for step in self.table(saga).steps} & self.world.family.skipped

    def check(self) -> None:
        for saga in self.sagas:
            self._check_alone(saga)
            self.no_place_has_two_children(saga)
            self.an_end_is_the_end_of_the_whole_tree(saga)
            self.no_wake_up_is_lost(saga)
            self.children_go_back_with_their_parent(saga)
            self.results_are_those_of_the_children(saga)
        self.steps_are_undone_in_reverse()

    def _check_alone(self, saga: Row[Any]) -> None:
        """Check what holds for every saga, whether or not it has a parent or children."""
        table, journal, world = self.table(saga), self.journals[saga.id], self.world
        effects = [effect for effect in world.participant.effects if effect.saga == str(saga.id)]
        properties.journal_follows_the_table(table, saga, journal)
        properties.a_definite_no_is_never_asked_again(table, journal)
        properties.every_active_saga_is_due(table, saga)
        properties.once_and_in_order(table, journal, effects)
        skipped = {move.step for move in journal if move.trigger == Trigger.SKIP and move.direction == "do"}
        entered = {move.step for move in journal if move.trigger == Trigger.BEGIN and move.step}
        assert skipped == (skipped | entered) & world.family.skipped, f"decided wrongly: {skipped}, {entered}"
        called = {key.split("/")[1] for key in world.participant.called if key.startswith(str(saga.id))}
        assert not called & self.skipped(saga), f"skipped, and called all the same: {called & self.skipped(saga)}"
        properties.all_effects_or_none(table, saga, journal, effects, self.skipped(saga))
        if saga.status in FINISHED and not properties.pivot_given_up(table, journal):
            standing = {effect.step for effect in effects if effect.direction == "do"}
            standing -= {effect.step for effect in effects if effect.direction == "undo"}
            assert standing == _in_effect(table, journal), f"the journal says otherwise than {standing}"
        assert saga.epoch == 1 + world.claims[saga.id]
        counted = world.commits[saga.id] + world.claims[saga.id] + world.sent_back[saga.id]
        assert saga.version == counted, f"the version is {saga.version}, and {counted} moves were counted"

    def no_place_has_two_children(self, saga: Row[Any]) -> None:
        for step in _starting(self.table(saga)):
            count, known = self.count(saga, step), self.children(saga, step)
            newest = self.newest(saga, step)
            old = [child for child in known if child not in newest]
            assert all(child.status == "compensated" for child in old), f"{step.name} has two children at one place"
            assert len({child.child_number for child in known}) == len(known)
            assert (
                self.resolved(saga, step)
                or not old
                or step.kind is not Kind.COMPENSATABLE
                or _retried(self.journals[saga.id])
            ), f"{step.name} was started again, and nobody has asked for it"
            if step.group is not None and step.group.at_most is not None:
                at_work = [child for child in known if child.status not in FINISHED and not child.goes_back]
                assert len(at_work) <= step.group.at_most, f"{len(at_work)} children of {step.name} are at work"
            if step.group is not None and step.group.over is not None:
                for child in known:
                    place = (child.child_number - 1) % count
                    assert child.data["index"] == place
                    assert child.data["item"] == saga.data[step.group.over][place]

    def an_end_is_the_end_of_the_whole_tree(self, saga: Row[Any]) -> None:
        known = self.children(saga)
        assert saga.status != "pending" or not known, "a saga that was not started has children"
        if saga.status in FINISHED:
            left = [(child.definition, child.status) for child in known if child.status not in FINISHED]
            assert not left, f"{saga.definition} is {saga.status}, and its children are {left}"
        if saga.status == "compensated":
            assert {child.status for child in known} <= {"compensated"}, "compensated, and a child is not"
        if saga.status != "completed":
            return
        for step in _starting(self.table(saga)):
            newest = [child.status for child in self.newest(saga, step)]
            if step.name in self.world.family.skipped:
                assert not newest, f"{step.name} was skipped, and has children"
            elif not self.resolved(saga, step):
                assert newest == ["completed"] * self.count(saga, step), f"completed, and {step.name} has {newest}"

    def no_wake_up_is_lost(self, saga: Row[Any]) -> None:
        """Check that a parent that no process holds is due as soon as it has something to do."""
        at = self.world.state_of(saga)
        if not at.awaits_child or saga.owner is not None or saga.status == "pending" or self.world.is_due(saga):
            return
        why = self._next_move(saga, at.step, undoes=at.undoes)
        assert why is None, f"{saga.definition} waits in {saga.state}, and {why}"

    def _next_move(self, saga: Row[Any], step: Step, *, undoes: bool) -> str | None:
        """Return why a parent that waits for its children must move; None: it has to wait."""
        known, count, newest = self.children(saga, step), self.count(saga, step), self.newest(saga, step)
        if undoes:
            return None if any(child.status != "compensated" for child in known) else "all are compensated"
        if step.group is None:
            return "its child has ended" if not known or known[-1].status in FINISHED else None
        if any(self.goes_back(child) for child in newest):
            return "a branch goes back"
        at_work = sum(child.status not in FINISHED for child in newest)
        if len(newest) < count and (step.group.at_most is None or at_work < step.group.at_most):
            return "there is room for another branch"
        return None if len(newest) < count or at_work else "all have completed"

    def children_go_back_with_their_parent(self, saga: Row[Any]) -> None:
        at = self.world.state_of(saga)
        if not (at.awaits_child and at.undoes):
            return
        for child in self.children(saga, at.step):
            assert child.goes_back or child.status == "compensated", f"{child.definition} was not told to go back"
            held = child.owner is not None or self.world.is_due(child)
            assert held or self.goes_back(child), f"{child.definition} is {child.status}, and nobody compensates it"

    def results_are_those_of_the_children(self, saga: Row[Any]) -> None:
        for move in self.journals[saga.id]:
            if move.trigger == Trigger.SUCCEEDED and move.direction == Direction.DO:
                step = next(each for each in self.table(saga).steps if each.name == move.step)
                if step.starts and not any(
                    self.resolved(child, each) for child in self._below(saga) for each in self.table(child).steps
                ):
                    expected = self._reply(saga, step)
                    assert (move.reply or {}) == (expected or {}), f"{step.name} got {move.reply}, and not {expected}"

    def _reply(self, saga: Row[Any], step: Step) -> Any:
        if step.group is None:
            return {"id": own_id(str(self.newest(saga, step)[0].id), f"{step.name}sa")} if step.keeps else {}
        kept = [self._kept(child) for child in self.newest(saga, step)]
        if step.group.over is not None:
            return kept
        return {branch.name: one for branch, one in zip(step.group.branches, kept, strict=True)}

    def _kept(self, child: Row[Any]) -> Any:
        steps = self.table(child).steps
        kept = {step.name: self._kept_of(child, step) for step in steps}
        return kept[steps[0].name] if len(steps) == 1 else kept

    def _kept_of(self, saga: Row[Any], step: Step) -> Any:
        if step.name in self.world.family.skipped:
            return {}
        if step.starts:
            return self._reply(saga, step)
        return {"id": own_id(str(saga.id), step.name)} if step.keeps else {}

    def _below(self, saga: Row[Any]) -> Iterator[Row[Any]]:
        for child in self.children(saga):
            yield child
            yield from self._below(child)

    def steps_are_undone_in_reverse(self) -> None:
        """Check that a step is undone only when nothing of the later steps is in effect, and that nothing follows it.

        The later steps include everything that their children have done. The exception is a late request of a pivot:
        an operator compensated its saga, and knew that the outcome of the pivot was unknown.
        """
        places, rows = self._places(), {str(saga.id): saga for saga in self.sagas}
        standing: list[tuple[tuple[str, int], ...]] = []
        undone: list[tuple[str, int]] = []
        for effect in self.world.participant.effects:
            place = places[effect.saga, effect.step]
            if effect.direction == "do":
                follows = any(saga == at for saga, _ in undone for at, _ in place)
                assert not follows or self._given_up(rows[effect.saga]), f"{effect} comes after an undo"
                standing.append(place)
                continue
            standing.remove(place)
            saga, number = place[-1]
            undone.append((saga, number))
            later = [each for each in standing if any(at == saga and step > number for at, step in each)]
            later = [each for each in later if not self._given_up(rows[each[-1][0]])]
            assert not later, f"{effect} comes before the undo of {later}"

    def _given_up(self, saga: Row[Any]) -> bool:
        return properties.pivot_given_up(self.table(saga), self.journals[saga.id])

    def _places(self) -> dict[tuple[str, str], tuple[tuple[str, int], ...]]:
        """Return for each step its place in its saga, after the places of that saga in its parents."""
        found: dict[tuple[str, str], tuple[tuple[str, int], ...]] = {}
        left = list(self.sagas)
        while left:
            saga = left.pop(0)
            above: tuple[tuple[str, int], ...] = ()
            if saga.parent_id is not None:
                if (str(saga.parent_id), saga.parent_step) not in found:
                    left.append(saga)
                    continue
                above = found[str(saga.parent_id), saga.parent_step]
            for number, step in enumerate(self.table(saga).steps):
                found[str(saga.id), step.name] = (*above, (str(saga.id), number))
        return found

    def stuck_below(self, saga: Row[Any]) -> bool:
        """Return True when the saga, or a saga below it, waits for a person."""
        return saga.status == "stuck" or any(self.stuck_below(child) for child in self.children(saga))


def _starting(table: Saga) -> list[Step]:
    return [step for step in table.steps if step.starts]


def _retried(journal: Sequence[Row[Any]]) -> bool:
    return any(move.trigger == Trigger.RETRY and move.source != move.dest for move in journal)


def _in_effect(table: Saga, journal: Sequence[Row[Any]]) -> set[str]:
    """Return the steps that are in effect, as the journal says."""
    changing = {step.name for step in table.steps if step.call and not step.starts and step.kind is not Kind.READ}
    ends = Counter((move.step, move.direction) for move in journal if move.trigger in DONE)
    return {name for name in changing if ends[name, Direction.DO] and not ends[name, Direction.UNDO]}
