"""The search of every state of a table, breadth first, so the first counterexample is a shortest one."""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from machines.call import Call
from machines.children import Group, Start
from machines.retry import PERSISTENT, Retry
from machines.saga import Saga
from machines.statuses import Status
from machines.transitions import Phase
from machines.verify.cycles import cycle
from machines.verify.events import Edge, Event
from machines.verify.kinship import Kinship
from machines.verify.machinery import Machinery
from machines.verify.meanings import UNTRUE, untrue_in
from machines.verify.moves import Moves
from machines.verify.properties import CAN_COMPLETE, Broken
from machines.verify.world import World

#: Most states of one search. The largest sample table has a few thousand.
MOST_STATES = 1_000_000
#: Most attempts of a call that are searched: the first one, and a last one. Those in between are like an attempt after
#: the takeover of a call in doubt, which is searched, too.
MOST_ATTEMPTS = 2
#: Number of states between two calls of `progress`: about a fifth of a second.
_PROGRESS_EVERY = 500
#: Receives the number of states that were found, and of those that are still to explore.
Progress = Callable[[int, int], None]
_NOBODY = "nothing and nobody continues the saga"
_ENDS = (Phase.COMPLETED, Phase.COMPENSATED, Phase.STUCK)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A property that does not hold, with a shortest path that shows it."""

    broken: str
    why: str
    #: The events of the path, each with the state after it.
    path: tuple[tuple[Event, World], ...]
    #: See `Broken.risk`.
    risk: bool = False
    #: Step that a flaw in the design of the table is about; "" for all other findings.
    step: str = ""
    #: Path of a flaw, in sentences; `path` is empty then.
    sentences: tuple[str, ...] = ()
    #: Data of the saga.
    data: Mapping[str, Any] = field(default_factory=dict)
    #: Position in `path` from which the events repeat for ever; None: they do not.
    repeats_from: int | None = None

    #: What an author accepts, when it is not a step as a whole, such as `pay 500`.
    subject: str = ""

    @property
    def name(self) -> str:
        """The name by which an author accepts a flaw, such as `stale read:price`."""
        return f"{self.broken}:{self.subject or self.step}"


@dataclass(kw_only=True)
class Result:
    """What a search has found."""

    definition: Saga
    states: int = 0
    transitions: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    #: False: the bound was reached, so the search is not complete.
    complete: bool = True
    #: States of the table that the saga can be in, and of these the ones that no path has reached.
    unreached: tuple[str, ...] = ()
    #: What is no fault, but may surprise the author.
    notes: tuple[str, ...] = ()
    #: True: the table was searched as that of a child, which has a parent.
    as_child: bool = False

    def add(self, other: "Result") -> None:
        """Add the result of a search with other data."""
        first = not self.states
        self.states, self.transitions = self.states + other.states, self.transitions + other.transitions
        self.seconds, self.complete = self.seconds + other.seconds, self.complete and other.complete
        known = {each.why for each in self.findings}
        self.findings += [each for each in other.findings if each.why not in known]
        self.unreached = other.unreached if first else tuple(each for each in self.unreached if each in other.unreached)

    @property
    def faults(self) -> list[Finding]:
        return [each for each in self.findings if not each.risk]

    @property
    def risks(self) -> list[Finding]:
        return [each for each in self.findings if each.risk]


class Search:
    """One search."""

    def __init__(
        self, definition: Saga, data: Mapping[str, Any], most_states: int = MOST_STATES,
        progress: Progress | None = None, *, reduced: bool = True, kinship: Kinship | None = None,
        accepted: Collection[str] = (),
    ) -> None:  # fmt: skip
        """reduced: see `machines.verify.proving.verify`. accepted: the meanings that the author vouches for."""
        small = made_small(definition, (kinship or Kinship()).at_most)
        self.moves = Moves(Machinery(small, data, kinship, accepted), reduced=reduced)
        self._result = Result(definition=definition)
        self._most, self._progress = most_states, progress
        #: State → its number; the other lists are by this number.
        self._numbers: dict[World, int] = {}
        self._worlds: list[World] = []
        self._came: list[tuple[int, Event | None]] = []
        self._edges: list[list[tuple[int, bool]]] = []
        #: Edges by which a person resolves a step: the table's own way may not lead there.
        self._resolved: set[tuple[int, int]] = set()
        self._queue: deque[int] = deque()
        self._risks: set[str] = set()
        #: A path to a step that is refused although nothing of it was sent; None: there is no such path.
        self.unsent: Finding | None = None

    def run(self) -> Result:
        """Search, and return the result."""
        started = time.perf_counter()
        result = self._result
        for world in self.moves.starts():
            self._add(world, -1, None)
            if self.moves.wrong_start is not None:
                self._found(self.moves.wrong_start, (-1, Event("inserted")), world)
        while self._queue and not result.faults:
            if len(self._worlds) > self._most:
                result.complete = False
                break
            number = self._queue.popleft()
            self._expand(number)
            if self._progress is not None and number % _PROGRESS_EVERY == 0:
                self._progress(len(self._worlds), len(self._queue))
        if result.complete and not result.faults:
            self._look_for_cycles()
            reached = self._reached()
            kept = [name for name, at in self.moves.definition.states.items() if at.phase is not Phase.PASSING]
            result.unreached = tuple(name for name in kept if name not in reached)
        result.states, result.seconds = len(self._worlds), time.perf_counter() - started
        return result

    def _reached(self) -> set[str]:
        """Return the states that a saga reaches although no person resolves a step."""
        ahead = [number for number, (parent, _) in enumerate(self._came) if parent < 0]
        seen = set(ahead)
        while ahead:
            number = ahead.pop()
            new = {to for to, _ in self._edges[number] if (number, to) not in self._resolved} - seen
            seen |= new
            ahead += new
        return {row.state for row in (self._worlds[number].row for number in seen) if row is not None}

    def _expand(self, number: int) -> None:
        world = self._worlds[number]
        alive = False
        for edge in self._edges_of(world, number):
            self._result.transitions += 1
            if self.moves.guesses.unsent and self.unsent is None:
                path = (*self._path(number), (edge.event, edge.world))
                why, data = self.moves.guesses.unsent, self.moves.machinery.data
                self.unsent = Finding(broken=CAN_COMPLETE, why=why, path=path, data=data)
            if edge.broken is not None:
                self._found(edge.broken, (number, edge.event), edge.world)
                if self._result.faults:
                    return
            alive |= edge.forever
            known = self._numbers.get(edge.world)
            if known is None:
                known = self._add(edge.world, number, edge.event)
                if self._result.faults:
                    return
            self._edges[number].append((known, edge.forever))
            if edge.event.kind == "person" and edge.event.what == "resolve":
                self._resolved.add((number, known))
        if not alive and not self._has_ended(world):
            self._found(Broken("somebody goes on", _NOBODY), self._came[number], world)

    def why_not_alive(self, world: World) -> str:
        """Return why a saga that has not ended does not go on; "" when it has ended or goes on."""
        return "" if self._has_ended(world) or any(edge.forever for edge in self.moves.of(world)) else _NOBODY

    def _edges_of(self, world: World, number: int) -> Iterator[Edge]:
        try:
            yield from self.moves.of(world)
        except Exception as error:  # noqa: BLE001  whatever the engine raises is the finding
            why = f"{type(error).__name__}: {error}"
            self._found(Broken("no error", why), self._came[number], world)

    def _add(self, world: World, parent: int, event: Event | None) -> int:
        number = self._numbers[world] = len(self._worlds)
        self._worlds.append(world)
        self._came.append((parent, event))
        self._edges.append([])
        self._queue.append(number)
        broken = self.moves.properties.of(world)
        if broken is not None:
            self._found(broken, (parent, event), world)
        return number

    def _found(self, broken: Broken, came: tuple[int, Event | None], world: World) -> None:
        if broken.risk:
            if broken.why in self._risks:
                return
            self._risks.add(broken.why)
        path = [*self._path(came[0]), *([(came[1], world)] if came[1] else [])]
        self._keep(Finding(broken=broken.property, why=broken.why, path=tuple(path), risk=broken.risk))

    def _keep(self, finding: Finding) -> None:
        """Keep a finding. What follows from an untrue meaning is a flaw of the table."""
        finding = replace(finding, data=self.moves.machinery.data)
        untrue = untrue_in(self.moves.definition, [event for event, _ in finding.path])
        if untrue is not None and not finding.risk:
            step, subject, sentence = untrue
            why = f"{step.name}: {sentence}. Then {finding.why}"
            finding = replace(finding, broken=UNTRUE, why=why, step=step.name, subject=subject)
        self._result.findings.append(finding)

    def _path(self, number: int) -> list[tuple[Event, World]]:
        path: list[tuple[Event, World]] = []
        while number >= 0:
            parent, event = self._came[number]
            if event is not None:
                path.append((event, self._worlds[number]))
            number = parent
        return path[::-1]

    def _has_ended(self, world: World) -> bool:
        if world.row is None or world.row.status == "pending":
            return world.process is None
        at = self.moves.definition.states[world.row.state]
        # A child that is stuck waits for a person, and its parent waits for the child.
        waits = at.awaits_child and any(kin.stage.status == Status.STUCK for kin in world.kin)
        return world.process is None and (at.phase in _ENDS or waits)

    def _look_for_cycles(self) -> None:
        """Find a path that goes round for ever, although time goes on: each deadline and each wait is over."""
        lasting = [world.late and not self._waits_for_time(world) for world in self._worlds]
        found = cycle([
            [other for other, forever in edges if forever and lasting[other]] if lasting[number] else []
            for number, edges in enumerate(self._edges)
        ])  # fmt: skip
        if found is None:
            return
        path = self._path(found[0])
        start = len(path)
        for one, other in zip(found, [*found[1:], found[0]], strict=True):
            edges = [edge for edge in self.moves.of(self._worlds[one]) if edge.forever]
            event = next(edge.event for edge in edges if edge.world == self._worlds[other])
            path.append((event, self._worlds[other]))
        self._keep(Finding(broken="ends", why="the saga goes round for ever", path=tuple(path), repeats_from=start))

    def _waits_for_time(self, world: World) -> bool:
        at = None if world.row is None else self.moves.definition.states[world.row.state]
        return at is not None and at.waits is not None and not at.awaits_child and not world.over


def made_small(definition: Saga, at_most: int) -> Saga:
    """Return the table with at most MOST_ATTEMPTS attempts of each call. at_most: see `Kinship`."""
    return replace(
        definition,
        steps=tuple(
            replace(
                step, retry=_few(step.retry), call=_with_few(step.call), undo=_with_few(step.undo, PERSISTENT),
                probe=_with_few(step.probe), group=_few_at_once(step.group, at_most),
            )
            for step in definition.steps
        ),
    )  # fmt: skip


def _few_at_once(group: Group | None, at_most: int) -> Group | None:
    return group if group is None or group.at_most is None else replace(group, at_most=at_most)


def _with_few(call: Call | None, usual: Retry | None = None) -> Any:
    """Return a call with few attempts. usual: its retries where the table names none; None: those of its step."""
    if call is None or isinstance(call, Start) or (call.retry is None and usual is None):
        return call
    if isinstance(call.retry, Mapping):
        return replace(call, retry={outcome: _few(each) for outcome, each in call.retry.items()})
    retry = call.retry or usual
    assert retry is not None
    return replace(call, retry=_few(retry))


def _few(retry: Retry) -> Retry:
    return retry if retry.attempts <= MOST_ATTEMPTS else replace(retry, attempts=MOST_ATTEMPTS)
