"""What can happen next in a state of the search. Each `Edge` is one event, and leads to one state.

Events of different parts that cannot influence each other are tried in one order only:

- A fenced process can still do one thing: send what it was about to send. So a takeover is searched as the death of the
  process, with its request on the way; it may arrive at any later moment.
- A late request changes only its participant. So it arrives before the next request, or when nothing runs.
- A late request that would change nothing is no longer on the way.
"""

from collections.abc import Iterator

from machines.groups import is_sent_back
from machines.later import arrival_name
from machines.participant_kinds import kind_of
from machines.statuses import Status
from machines.step import EFFECTFUL, Kind
from machines.verify.attempting import Attempting
from machines.verify.children import Children
from machines.verify.decisions import Decisions
from machines.verify.events import Edge, Event
from machines.verify.forgetting import Forgetting
from machines.verify.guesses import Guesses
from machines.verify.journals import Journals
from machines.verify.kin_properties import KinProperties
from machines.verify.machinery import MAX_CLAIMS, Machinery
from machines.verify.network import Network
from machines.verify.people import People
from machines.verify.process import ModelLoop, Send
from machines.verify.properties import Broken, Properties
from machines.verify.publishing import Publishing
from machines.verify.requests import Requests
from machines.verify.sending import Sending
from machines.verify.turns import Turns, learned
from machines.verify.wait_ends import WaitEnds
from machines.verify.world import DUE_LATER, DUE_NOW, HELD, NEVER_DUE, NEW_END, Entry, Memory, Process, Row, Save, World
from machines.waiting import Waiting


class Moves:
    """The events of one table. reduced: see `machines.verify.search.verify`."""

    def __init__(self, machinery: Machinery, *, reduced: bool = True) -> None:
        self.reduced = reduced
        #: Property that the insertion of a child breaks; None: none, or the saga is no child.
        self.wrong_start: Broken | None = None
        self.machinery, self.definition = machinery, machinery.definition
        self.steps = [step for step in self.definition.steps if step.kind in EFFECTFUL and step.starts is None]
        self.index = {step.name: number for number, step in enumerate(self.steps)}
        self.by_name = {step.name: step for step in self.definition.steps}
        self.journals, self.network, self.guesses = Journals(machinery), Network(self), Guesses(self)
        self.children, self.kin_properties = Children(self), KinProperties(self)
        self.properties, self.people, self.wait_ends = Properties(self), People(self), WaitEnds(self)
        self.decisions, self.requests, self.sending = Decisions(self), Requests(self), Sending(self)
        self.publishing = Publishing(self)
        self.attempting = Attempting(self)
        #: True: a signal or an answer may come between a call and its commit.
        self.races = any(step.waits or step.later for step in self.definition.steps)
        self.turns, self.forgetting = Turns(machinery, merged=reduced), Forgetting(self)
        self.kinds = {step.name: kind_of(step) for step in self.steps}
        # The registry refuses a parent that would compensate a saga with a step that has no way back.
        returns = all(step.kind not in (Kind.PIVOT, Kind.RETRIABLE) for step in self.definition.steps)
        self._can_be_sent_back = returns and machinery.kinship.of_child is not None

    def starts(self) -> Iterator[World]:
        """Yield the states in which a search begins: a process has just created the saga, or the saga is pending.

        A pending saga waits for a request to start it, or is due at its start time. This time has come when it is
        `over`.
        """
        world = World(
            row=None, facts=frozenset(), ledger=tuple(Entry() for _ in self.steps), flight=frozenset(),
            arrivals=frozenset(), late=False, over=False, went_back=False, process=None,
        )  # fmt: skip
        if self.machinery.kinship.of_child is not None:
            yield self._inserted(world)
            return
        yield self._start(world, self.machinery.memory_of(self.machinery.new(), stored=False))
        pending = self.machinery.new(pending=True)
        loop = ModelLoop(self.machinery, Process(Memory(pending.state)), world.seen)
        for due in (NEVER_DUE, DUE_NOW, DUE_LATER):
            yield self.stored(world, loop.save_of(pending, due, held=False))._replace(over=due != DUE_LATER)

    def _inserted(self, world: World) -> World:
        """Return the state after a parent has inserted the saga as its child."""
        saga, kinship = self.machinery.new(), self.machinery.kinship
        loop = ModelLoop(self.machinery, Process(Memory(saga.state)), world.seen)
        save = loop.save_of(saga, DUE_NOW if saga.current.runs else NEVER_DUE, held=False)
        after = self.stored(world, save)
        self.wrong_start = self.decisions.of_commit(world, save)
        assert after.row is not None
        assert kinship.of_child is not None
        kinship.of_child.insert(self.machinery, after.row, after.facts)
        return after

    def of(self, world: World) -> Iterator[Edge]:
        """Yield every event that can happen in a state."""
        for edge in self._of(world):
            yield from self._with_commits(edge)

    def _with_commits(self, edge: Edge) -> Iterator[Edge]:
        """Yield an edge with the commits that follow at once, unless a signal can come in between."""
        process = edge.world.process
        outside = process is None or any(self.network.signals(edge.world)) or self.children.moving(edge.world)
        point = None if outside or process is None else self.turns.point(process)
        if process is None or not isinstance(point, Save):
            yield edge
            return
        for save in process.saving or (point,):
            broken = edge.broken or self.guesses.of(edge.world, save)
            name = save.row.state if save.row.due == HELD else f"-{save.row.state}"
            event = edge.event._replace(commits=(*edge.event.commits, name + self.children.words(edge.world, save)))
            yield from self._with_commits(Edge(event, self.written(edge.world, save), broken, edge.forever))
        # A call may kill each process that sends it. No process dies for ever between the reply and the commit.
        yield Edge(edge.event._replace(dies=True), edge.world._replace(process=None), forever=False)

    def _of(self, world: World) -> Iterator[Edge]:
        if world.process is None:
            if world.row is not None:
                yield from self._at_rest(world, world.row)
            return
        point = self.turns.point(world.process)
        if isinstance(point, Save):
            yield from self._saves(world, point)
        elif isinstance(point, Broken):
            yield Edge(Event("wait", self._step_of(world)), world._replace(process=None), point)
        else:
            assert isinstance(point, Send)
            yield from self.requests.events(world, point)
            yield from self.network.arrivals(world)
        yield from self.children.events(world)
        yield from self._sent_back(world)
        if not (world.late or _waits_for_start(world)):
            yield Edge(Event("late"), self.network.without_flight(world._replace(late=True)))
        if world.row is not None and world.process.starts_turn:
            stopped = Process(world.process.memory, stops=True)
            yield Edge(Event("stop"), self._settled(world, stopped), forever=False)

    def _step_of(self, world: World) -> str:
        at = None if world.process is None else self.definition.states[world.process.memory.state]
        return at.step.name if at is not None and at.step is not None else ""

    # A process -----------------------------------------------------------------------------------------------------

    def _start(self, world: World, memory: Memory) -> World:
        return self._settled(world, Process(memory))

    def _settled(self, world: World, process: Process) -> World:
        """Return the state with the process at its next commit or request, or without it."""
        settled = self.turns.settled(process, world.seen)
        if world.late and settled is not None and settled.starts_turn and self._is_gated(settled):
            settled = settled._replace(overdue=True)
        return world._replace(process=settled)

    def _is_gated(self, process: Process) -> bool:
        """Return True for a process at the first request of its turn, when the deadline forbids this request."""
        point = self.turns.point(process)
        if not isinstance(point, Send) or point.purpose != "do" or not point.can_expire:
            return False
        return not (process.memory.in_doubt and self.by_name[point.step].kind is Kind.PIVOT)

    def learned(self, world: World, what: str) -> World:
        """Return the state after the process has learned something."""
        assert world.process is not None
        return self._settled(world, learned(world.process, what))

    def written(self, world: World, save: Save) -> World:
        """Return the state after a commit, with its process at its next point."""
        after = self.children.committed(self.stored(world, save), save)
        if save.goes_on:
            return self.learned(after, "written")
        if save.then is None:
            return self.forgetting.ended_waits(after)._replace(process=None)
        if save.known < world.arrived or world.ends == NEW_END:
            return self._start(after, save.then)
        after = self.forgetting.ended_waits(after)
        assert after.row is not None
        return self._start(after, save.then._replace(arrived=after.row.arrived))

    def _saves(self, world: World, point: Save) -> Iterator[Edge]:
        assert world.process is not None
        for save in world.process.saving or (point,):
            broken = self.guesses.of(world, save)
            what = "releases" if save.row.due != HELD else "commits"
            event = Event(what, what=save.row.state + self.children.words(world, save))
            yield Edge(event, self.written(world, save), broken)
        died = world._replace(process=None)
        yield Edge(Event("dies before its commit", what=point.row.state), died, forever=False)
        yield from self.network.signals(world)

    def stored(self, world: World, save: Save) -> World:
        """Return the state after a commit."""
        before, row = world.row, save.row
        arrived = world.arrived
        if row.due == DUE_LATER and (save.known != arrived or world.ends == NEW_END):
            row = row._replace(due=DUE_NOW)
        row = row._replace(arrived=arrived)
        starts = before is not None and before.status == Status.PENDING != row.status
        stays = before is not None and before.state == row.state and not starts
        facts = self.journals.after(world.facts, save.moves)
        if world.row is not None and self.machinery.kinship.of_child is not None:
            self.machinery.kinship.of_child.commit(self.machinery, world, save, facts)
        back = world.went_back or self.definition.states[row.state].undoes
        return self.forgetting.passed(world._replace(row=row, facts=facts, over=world.over and stays, went_back=back))

    def awaited(self, state: str) -> str | None:
        """Return the name of the signal or answer that ends the wait of a state; None when nothing but time does."""
        at = self.definition.states[state]
        if at.awaits_answer:
            return None if at.step is None or at.poll else arrival_name(at.step.name)
        return at.waits.signal if isinstance(at.waits, Waiting) else None

    # At rest -------------------------------------------------------------------------------------------------------

    def _at_rest(self, world: World, row: Row) -> Iterator[Edge]:
        at = self.definition.states[row.state]
        over = world.over or world.late or at.awaits_child  # a parent looks at its children from time to time
        if row.due in (HELD, DUE_NOW) or (row.due == DUE_LATER and (over or at.poll is not None)):
            looks = at.awaits_child and row.due == DUE_LATER
            after, broken = self._claimed(world, row)
            yield Edge(Event("claim", what=row.state), after, broken, forever=not looks)
        if at.runs and not world.late and row.status != Status.PENDING:
            yield Edge(Event("late"), world._replace(late=True))
        if _waits_for_start(world):
            yield Edge(Event("claim", what=row.state), *self._claimed(world, row), forever=False)
            yield Edge(Event("begins"), world._replace(over=True))
        elif at.waits is not None and not world.over and not at.awaits_child:
            yield Edge(Event("over", at.step.name if at.step else ""), world._replace(over=True))
        yield from self.network.arrivals(world)
        yield from self.children.events(world)
        yield from self._sent_back(world)
        yield from self.people.of(world, row)

    def _claimed(self, world: World, row: Row) -> tuple[World, Broken | None]:
        """Return the state after a claim, and the property that it breaks."""
        row = row._replace(claims=min(row.claims + 1, MAX_CLAIMS + 1), due=HELD)
        world = self.forgetting.ended_waits(self.children.read(world._replace(row=row)))
        assert world.row is not None
        saga = self.machinery.load(world.row, world.facts, world.seen, own_claims=1)
        broken = None
        if saga.arrived < world.arrived:
            what = next((name for name, _ in sorted(world.arrivals)), "the end of a child")
            broken = Broken("no lost signal", f"{what} has arrived, and the process that claims the saga ignores it")
        return self._start(world, self.machinery.memory_of(saga, stored=True)), broken

    def _sent_back(self, world: World) -> Iterator[Edge]:
        """Yield the request of the parent to compensate. It fences the process, which may still send its call."""
        row = world.row
        if row is None or not self._can_be_sent_back or not is_sent_back(row.status, goes_back=row.goes_back):
            return
        point = None if world.process is None else self.turns.point(world.process)
        after = world._replace(row=row._replace(goes_back=True, due=DUE_NOW), process=None)
        yield Edge(Event("sent back"), after, forever=False)
        if isinstance(point, Send) and (point.purpose in ("do", "again") or point.acts_next):
            sent = after._replace(flight=world.flight | {(point.step, point.key)})
            yield Edge(Event("sent back", point.step), self.network.without_flight(sent), forever=False)


def _waits_for_start(world: World) -> bool:
    """Return True before the start time of a pending saga."""
    return world.row is not None and world.row.status == Status.PENDING and not world.over
