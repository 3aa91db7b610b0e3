"""What comes from outside while a saga runs or rests: late requests, decisions of participants, signals and answers."""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from machines.later import arrival_name
from machines.outcomes import Outcome
from machines.participant_kinds import ParticipantKind
from machines.signals import waits_of
from machines.statuses import Status
from machines.step import Kind, Step
from machines.transitions import DONE, Direction
from machines.verify import participants
from machines.verify.events import Edge, Event
from machines.verify.meanings import Truth
from machines.verify.world import DUE_NOW, Entry, World

if TYPE_CHECKING:
    from machines.verify.moves import Moves


class Network:
    """The requests on their way, the participants, and the senders of signals of one table."""

    def __init__(self, moves: "Moves") -> None:
        self._moves = moves
        self._sent_from = cache(self._from)

    @staticmethod
    def acts(step: Step, kind: ParticipantKind, entry: Entry, key: str) -> Iterator[tuple[Entry, Truth]]:
        """Yield what the participant of a step may do with the action."""
        leaves = step.call is not None and Outcome.REFUSED_UNDO in step.call.named_outcomes
        yield from participants.act(
            kind, entry, key, remembers_refusals=step.kind is not Kind.RETRIABLE, leaves=leaves,
            later=step.later is not None,
        )  # fmt: skip

    def with_entry(self, world: World, number: int, entry: Entry) -> World:
        ledger = (*world.ledger[:number], entry, *world.ledger[number + 1 :])
        return self.without_flight(world._replace(ledger=ledger))

    # The network ---------------------------------------------------------------------------------------------------

    def without_flight(self, world: World) -> World:
        """Return the state without the requests on their way that can change nothing any more."""
        if not world.flight:
            return world
        return world._replace(flight=frozenset(each for each in world.flight if any(self._delivered(world, *each))))

    def _delivered(self, world: World, name: str, key: str) -> Iterator[Entry]:
        """Yield every change that an action on its way can make when it arrives."""
        entry, kind = world.ledger[self._moves.index[name]], self._moves.kinds[name]
        for after, _ in self.acts(self._moves.by_name[name], kind, entry, key):
            if after != entry:
                yield after

    def arrivals(self, world: World) -> Iterator[Edge]:
        """Yield the late arrivals of requests, and the decisions of participants that have accepted an action."""
        for name, key in sorted(world.flight):
            number = self._moves.index[name]
            keeps_no_tombstone = self._moves.kinds[name] is not ParticipantKind.BARRIER
            undone = keeps_no_tombstone and any(
                each.step == name and each.direction == Direction.UNDO and each.trigger in DONE for each in world.facts
            )
            for landed_as in self._delivered(world, name, key):
                # a participant without tombstones does it, whatever the table says
                after = landed_as._replace(too_late=landed_as.too_late or (undone and landed_as.effects > 0))
                done = "done" if after.effects > world.ledger[number].effects else "refused"
                landed = world._replace(flight=world.flight - {(name, key)})
                yield Edge(Event("arrives", name, done), self.with_entry(landed, number, after))
        for number, step in enumerate(self._moves.steps):
            answers = step.poll or step.call
            leaves = answers is not None and Outcome.REFUSED_UNDO in answers.named_outcomes
            for entry in participants.decide(world.ledger[number], leaves=leaves):
                yield Edge(Event("decides", step.name, entry.seen), self.with_entry(world, number, entry))
        yield from self.signals(world)

    def signals(self, world: World) -> Iterator[Edge]:
        """Yield the signals and answers that may arrive now. A signal to a waiting saga takes it from its process."""
        row = world.row
        if row is None or not self._moves.races:
            return
        arrived = {name for name, _ in world.arrivals}
        for step, name, kind in self._senders(world):
            if name in arrived or name not in self._moves.forgetting.live(row.state):
                continue
            if step.later is None and row.state not in self._sent_from(step.name):
                continue
            after = row._replace(arrived=row.arrived + 1)
            waits = row.status == Status.WAITING
            if waits:
                after = after._replace(due=DUE_NOW)
            process = None if waits else world.process
            yield Edge(
                Event("signal", step.name, name, kind),
                world._replace(row=after, arrivals=world.arrivals | {(name, kind)}, process=process),
            )

    def _from(self, name: str) -> frozenset[str]:
        """Return the states in which the signal for a step is sent: its wait, the one before, and those in between.

        An earlier signal is kept until then, and nothing reads it.
        """
        states = self._moves.definition.states
        if not self._moves.reduced:
            return frozenset(states)
        before: dict[str, set[str]] = {}
        for each in self._moves.definition.transitions:
            before.setdefault(each.dest, set()).add(each.source)
        (entry,) = (each for each, at in states.items() if at.waits is not None and at.step and at.step.name == name)
        found, queue = {entry}, [entry]
        while queue:
            for state in before.get(queue.pop(), set()) - found:
                found.add(state)
                at = states.get(state)
                if at is not None and at.waits is None and not (at.step and at.step.later):
                    queue.append(state)
        return frozenset(found)

    def _senders(self, world: World) -> Iterator[tuple[Step, str, str]]:
        """Yield what can be sent to the saga: the step that waits for it, its name, and its kind."""
        for step in waits_of(self._moves.definition):
            assert step.waits is not None
            assert step.waits.signal is not None
            yield from ((step, step.waits.signal, kind) for kind in self._moves.machinery.signals(step))
        for number, step in enumerate(self._moves.steps):
            if step.later is not None and step.poll is None:
                for kind in self._moves.machinery.answers(step, world.ledger[number].seen):
                    yield step, arrival_name(step.name), kind
