"""A process of the engine in the search: the loop of `machines.loop` itself, stopped at each commit and each request.

The loop runs until it needs something from outside: a commit, or the reply to a request. There it is left by an
exception, and the point is a state of the search. To go on from there, the turn of the loop runs again from its start,
with what it has learned so far (`Process.log`). Nothing of the engine is copied here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import inf
from typing import Any, NamedTuple
from uuid import UUID

from machines.attempts import Attempts, filled, later_answer, understood
from machines.call import Call
from machines.history import AFTER_DOUBT
from machines.later import arrival_name
from machines.loop import Loop, RunEnd
from machines.outcomes import Outcome
from machines.references import FillError
from machines.replies import Reply
from machines.restoring import restore, restored_in_doubt, stored_in_doubt
from machines.running import Move, RunningSaga
from machines.saga import Saga
from machines.samples import example
from machines.step import Kind, Step
from machines.transitions import DONE, NOWHERE, Direction, Phase, Trigger
from machines.verify.replying import Truth, put, replies_to
from machines.verify.samples import bodies_of
from machines.verify.world import DUE_LATER, DUE_NOW, HELD, NEVER_DUE, Bodies, Fact, Memory, Process, Row, Save, Seen
from machines.waiting import Waiting
from machines.waits import Waits

SAGA_ID = UUID("11111111-2222-4333-8444-555555555555")
#: Actors in the journal.
ENGINE, PERSON = "engine", "operator"
#: Most claims without a move. After one, a further takeover meets the same states again.
MAX_CLAIMS = 1
#: Failed attempts from which on they are alike; more than any table of the search has. An engine whose attempts do not
#: end comes back to the same states.
_MOST_FAILED = 5
#: The deadline, and the time when it is over, in seconds; it is always 0 before.
_DEADLINE_S, _LATE_S = 1_000.0, 2_000.0
#: When the present state was entered, for a process that sees its wait over.
_LONG_AGO_S = -1e12


class Send(NamedTuple):
    """A process is about to send a request."""

    #: do, undo, again (the action, to recover its reply), probe, poll or read.
    purpose: str
    step: str
    key: str
    #: Truth → the replies with different meanings: the name, and the outcome.
    replies: Mapping[Truth, tuple[tuple[str, Outcome], ...]]
    #: True: the deadline can end this call.
    can_expire: bool
    #: True: the process may send the step's action next, without a further commit.
    acts_next: bool
    unknown: str = ""


class Turn(NamedTuple):
    """A process starts its next turn."""

    memory: Memory
    unknown: str = ""


class Done(NamedTuple):
    """The process has released the saga."""

    unknown: str = ""


Point = Save | Send | Turn | Done


class _Left(BaseException):
    """Ends the run of the loop at a point. No code of the loop may go on, so it is no Exception."""

    def __init__(self, point: Point) -> None:
        super().__init__()
        self.point = point


class Machinery:
    """The engine of one table. It remembers what a process does, so each point is computed once."""

    def __init__(self, definition: Saga, data: Mapping[str, Any]) -> None:
        self.definition, self.data = definition, data
        self.bodies = Bodies()
        #: Name of a signal or an answer, and its kind → its body.
        self.arrivals: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._points: dict[Process, Point] = {}
        self._replies: dict[tuple[int, bool], Mapping[Truth, list[tuple[str, Reply]]]] = {}
        self._meanings: dict[tuple[Any, ...], Mapping[Truth, tuple[tuple[str, Outcome], ...]]] = {}
        self._calls: list[Call] = []  # kept, because the number of an object is its own only while it lives

    def point(self, process: Process) -> Point:
        """Return the next point of a process."""
        if process.saving:
            return process.saving[0]
        known = self._points.get(process)
        if known is None:
            known = self._points[process] = ModelLoop(self, process).point()
        return known

    def new(self) -> Memory:
        """Return the memory of the process that creates the saga."""
        saga = RunningSaga(self.definition, SAGA_ID, self.data, NOWHERE, _clock)
        saga.create(actor=ENGINE)
        return self.memory_of(saga, stored=False)

    def load(self, row: Row, facts: frozenset[Fact], seen: Seen, own_claims: int) -> RunningSaga:
        """Return the saga as a process reads it. own_claims: its own claims."""
        in_doubt = restored_in_doubt(self.definition.states[row.state], row, own_claims)
        saga = RunningSaga(self.definition, SAGA_ID, self.data, row.state, _clock, in_doubt=in_doubt)
        restore(saga, _AsStored(row), self.journal(facts))
        saga.waits_for, saga.deadline = None, _DEADLINE_S
        saga.entered = _LONG_AGO_S if seen.over else 0.0
        return saga

    def journal(self, facts: frozenset[Fact]) -> list[Move]:
        """Return facts as rows of a journal, each reply as it was stored."""
        rows = [self._move(fact) for fact in sorted(facts, key=_in_order)]
        return [*rows, Move(seq=1, source=None, trigger=Trigger.START, dest="", actor=ENGINE, made=0.0)]

    def _move(self, fact: Fact) -> Move:
        move = Move(seq=0, source="", trigger=Trigger(fact.trigger), dest=fact.dest, actor=ENGINE, made=0.0, reason="")
        move.actor = PERSON if fact.by_hand else ENGINE
        move.step, move.direction, move.status_code = fact.step or None, fact.direction or None, fact.status_code
        move.reply, move.reason = self.bodies.value(fact.body), AFTER_DOUBT if fact.doubted else ""
        return move

    def saga_of(self, memory: Memory) -> RunningSaga:
        """Return the saga that a process has in its memory."""
        saga = RunningSaga(self.definition, SAGA_ID, self.data, memory.state, _clock, in_doubt=memory.in_doubt)
        saga.failed_attempts, saga.sends_again, saga.pending = memory[2:5]
        saga.results = dict(self.bodies.results(memory.results))
        saga.skipped, saga.claims, saga.arrived = memory.skipped, memory.claims, memory.arrived
        saga.unsaved = [self._move(fact) for fact in memory.moves]
        saga.entered = 0.0
        saga.deadline = _DEADLINE_S if memory.stored else inf
        return saga

    def memory_of(self, saga: RunningSaga, *, stored: bool) -> Memory:
        return Memory(
            state=saga.state, in_doubt=saga.in_doubt, failed_attempts=min(saga.failed_attempts, _MOST_FAILED),
            sends_again=saga.sends_again, pending=saga.pending,
            results=tuple(sorted((step, self.bodies.number(reply)) for step, reply in saga.results.items())),
            skipped=saga.skipped, moves=self.facts_of(saga.unsaved), claims=saga.claims, arrived=saga.arrived,
            stored=stored,
        )  # fmt: skip

    def facts_of(self, moves: list[Move]) -> tuple[Fact, ...]:
        return tuple(
            Fact(
                trigger=move.trigger, dest=move.dest, step=move.step or "", direction=move.direction or "",
                status_code=move.status_code if move.trigger == Trigger.DEFER else None,
                body=self.bodies.number(move.reply) if _is_reply(move) else -1, by_hand=move.actor == PERSON,
                doubted=AFTER_DOUBT in (move.reason or ""),
            )
            for move in moves
        )  # fmt: skip

    def replies(self, saga: RunningSaga, call: Call, *, undoes: bool) -> Mapping[Truth, list[tuple[str, Reply]]]:
        """Return every reply to a call, by its truth."""
        known = (id(call), undoes)
        if known not in self._replies:
            assert saga.current.step is not None
            found = replies_to(self.definition, saga.current.step, call, undoes=undoes)
            self._replies[known] = found if undoes else self._varied(saga.current.step, found)
            self._calls.append(call)
        return self._replies[known]

    def _varied(
        self, step: Step, replies: Mapping[Truth, list[tuple[str, Reply]]]
    ) -> Mapping[Truth, list[tuple[str, Reply]]]:
        """Return the replies with further successes, for the conditions that later steps have."""
        if not self.definition.conditional:
            return replies
        name, reply = replies[Truth.DONE][0]
        more = [
            (f"{name} ({number})", replace(reply, body=body))
            for number, body in enumerate(bodies_of(self.definition, step, reply.body), 1)
        ]
        return {**replies, Truth.DONE: [*replies[Truth.DONE], *more]}

    def signals(self, step: Step) -> Iterator[str]:
        """Yield the kinds of the signal that a step waits for: one for each outcome of its body."""
        assert step.waits is not None
        assert step.waits.signal is not None
        body, found = example(step.waits.brings), set()
        for kind, each in [("", body), *_signals(step.waits, body)]:
            outcome = step.waits.outcome_of(each)
            if outcome not in found:
                found.add(outcome)
                self.arrivals[step.waits.signal, kind or str(outcome)] = each
                yield kind or str(outcome)

    def answer(self, step: Step, seen: str) -> str:
        """Return the kind of the answer that a participant sends later. seen: what it has done."""
        assert step.call is not None
        name = arrival_name(step.name)
        if (name, seen) not in self.arrivals:
            wanted = Truth.DONE if seen == "done" else Truth.REFUSED
            for _, reply in replies_to(self.definition, step, step.call, undoes=False)[wanted]:
                body, _ = later_answer(self.definition, step, replace(reply))
                if body is not None:
                    self.arrivals[name, seen] = body
                    break
        return seen

    def meanings(
        self, saga: RunningSaga, call: Call, direction: Direction
    ) -> Mapping[Truth, tuple[tuple[str, Outcome], ...]]:
        """Return the replies to a call that mean different things to the engine: the name and the outcome of each."""
        results = tuple(sorted((step, self.bodies.number(reply)) for step, reply in saga.results.items()))
        known = (id(call), direction, saga.state, results if call is saga.current.poll else ())
        if known not in self._meanings:
            replies = self.replies(saga, call, undoes=direction is Direction.UNDO)
            self._meanings[known] = {
                truth: tuple(_different(saga, call, direction, each)) for truth, each in replies.items()
            }
        return self._meanings[known]


class _AsStored:
    """A row, with the columns that `restore` reads besides those of `Row`."""

    deferrals, error = 0, None

    def __init__(self, row: Row) -> None:
        self.claims, self.attempt, self.arrived, self.status = row.claims, row.attempt, row.arrived, row.status


class _Arrivals:
    """The signals and answers that one process sees, and the clock of waits until a date."""

    def __init__(self, loop: "ModelLoop") -> None:
        self._loop = loop

    def find(self, _saga_id: UUID, name: str) -> Any:
        machinery = self._loop.machinery
        found = next((each for each in self._loop.seen.arrivals if each[0] == name), None)
        return None if found is None else _Arrived(machinery.arrivals[found])

    def seconds_until(self, _moment: Any) -> float:
        return -1.0 if self._loop.seen.over else 1.0


class _Arrived:
    sender = "somebody"

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body


class _Calls(Attempts):
    """Sends requests by leaving the loop, and answers those that were answered before."""

    def __init__(self, loop: "ModelLoop") -> None:
        self._loop = loop

    def _send(self, saga: RunningSaga, call: Call, direction: Direction | None = None) -> tuple[Reply, Outcome]:
        at, loop = saga.current, self._loop
        assert at.step is not None
        direction = direction or at.direction
        try:
            _, sent, _ = filled(saga, call, direction, {}, lambda _id, step: f"https://saga.example/replies/{step}")
        except FillError as error:
            loop.unknown = str(error)
            return understood(saga, call, direction, Reply(error=str(error), sent=False, impossible=True))
        purpose = _purpose(saga, call, direction)
        replies = loop.machinery.replies(saga, call, undoes=direction is Direction.UNDO)
        name = loop.learn()
        if name is None:
            meanings = loop.machinery.meanings(saga, call, direction)
            left = saga.failed_attempts < at.retry.attempts and not saga.must_not_send
            acts_next = purpose == "probe" and at.phase is Phase.FORWARD and left
            raise _Left(
                Send(
                    purpose=purpose,
                    step=at.step.name,
                    key=sent["Idempotency-Key"],
                    replies=meanings,
                    can_expire=saga.may(Trigger.EXPIRE),
                    acts_next=acts_next,
                    unknown=loop.unknown,
                )
            )  # fmt: skip
        truth, _, name = name.partition(": ")
        reply = next(reply for known, reply in replies[Truth(truth)] if known == name)
        return understood(saga, call, direction, replace(reply))


def _purpose(saga: RunningSaga, call: Call, direction: Direction) -> str:
    step = saga.current.step
    assert step is not None
    if call is step.probe:
        return "probe"
    if call is step.poll:
        return "poll"
    if step.kind is Kind.READ:
        return "read"
    if direction is Direction.DO:
        return "again" if saga.current.undoes else "do"
    return "undo"


def _different(
    saga: RunningSaga, call: Call, direction: Direction, replies: list[tuple[str, Reply]]
) -> list[tuple[str, Outcome]]:
    """Return the first of all replies that mean the same to the engine."""
    at, found = saga.current, dict[tuple[Any, ...], tuple[str, Outcome]]()
    for name, reply in replies:
        read, outcome = understood(saga, call, direction, replace(reply))
        has_body = read.body is not None and outcome in (Outcome.REFUSED_UNDO, Outcome.ACCEPTED)
        sent = read.sent or at.probe is None
        meaning = (outcome, read.asks_to_wait, sent, read.final, has_body)
        decides = outcome is Outcome.SUCCEEDED and saga.definition.conditional
        found.setdefault((*meaning, repr(read.body)) if decides else meaning, (name, outcome))
    return list(found.values())


class ModelLoop(Loop[RunningSaga]):
    """The loop of one process, run from the start of its turn to its next point."""

    actor = ENGINE

    def __init__(self, machinery: Machinery, process: Process) -> None:
        self.machinery, self._process = machinery, process
        self.calls, self.waits = _Calls(self), Waits(arrivals=_Arrivals(self))
        self.jitter = lambda longest_s: longest_s
        self.sleep = lambda _seconds: None
        self.stopping = lambda: self._process.log[0][0] == "stop"
        self.seen = process.log[0][1]
        self.unknown = ""
        self._learned, self._turns = 0, 0
        self._stored = process.memory.stored

    def point(self) -> Point:
        """Run the loop to its next point, and return the point."""
        self._saga = saga = self.machinery.saga_of(self._process.memory)
        self._look(saga)
        try:
            self.run(saga, inf if self._process.patient else 0.0)
        except _Left as left:
            return left.point
        return Done(self.unknown)

    def learn(self) -> str | None:
        """Return what happened next in the log of the process; None at its end."""
        self._learned += 1
        if self._learned >= len(self._process.log):
            return None
        name, self.seen = self._process.log[self._learned]
        self._look(self._saga)
        return name

    def _look(self, saga: RunningSaga) -> None:
        if self.seen.over and saga.state == self._process.memory.state:
            saga.entered = _LONG_AGO_S

    @property
    def max_claims(self) -> int:
        return MAX_CLAIMS

    def now(self) -> float:
        return _LATE_S if self.seen.late else 0.0

    def commit(self, saga: RunningSaga, wait_s: float = 0.0) -> None:
        self._save(saga, HELD, held=True, waits=wait_s > 0)

    def release(self, saga: RunningSaga, after_s: float | None) -> None:
        waits = saga.current.phase is Phase.WAITING
        due = NEVER_DUE if after_s is None else DUE_LATER if waits and after_s > 0 else DUE_NOW
        self._save(saga, due, held=False)

    def _save(self, saga: RunningSaga, due: str, *, held: bool, waits: bool = True) -> None:
        if self.learn() is None:
            moves, row = self.machinery.facts_of(saga.unsaved), self.row_of(saga, due, held=held)
            then = self.machinery.memory_of(saga, stored=True)._replace(moves=()) if held and waits else None
            raise _Left(Save(row, moves, saga.arrived, held and not waits, then, self.unknown))
        saga.unsaved, self._stored, saga.deadline = [], True, _DEADLINE_S

    def row_of(self, saga: RunningSaga, due: str, *, held: bool) -> Row:
        """Return the row that a commit stores, as `app.store.sagas` does."""
        return Row(
            state=saga.state, status=saga.status, unsure=stored_in_doubt(saga, held=held),
            claims=min(saga.claims if held else 0, MAX_CLAIMS + 1), attempt=min(saga.failed_attempts, _MOST_FAILED),
            arrived=saga.arrived, due=due,
        )  # fmt: skip

    def _covered(self, saga: RunningSaga) -> bool:  # noqa: ARG002  a lease that ends is a death of its process
        return True

    def _turn(self, saga: RunningSaga, max_sleep_s: float, until: float = inf) -> RunEnd | None:
        if self._turns:
            raise _Left(Turn(self.machinery.memory_of(saga, stored=self._stored), self.unknown))
        self._turns += 1
        return super()._turn(saga, max_sleep_s, until)


def _signals(waits: Waiting, body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, meanings in waits.means.items():
        for value in meanings:
            yield f"{path} {value!r}", put(body, path, value)


def _is_reply(move: Move) -> bool:
    """Return True when the reply of a move is read again: that of an action which succeeded or was accepted."""
    return move.direction == Direction.DO and (move.trigger in DONE or move.trigger == Trigger.ACCEPTED)


def _in_order(fact: Fact) -> tuple[Any, ...]:
    return fact.step, fact.direction, fact.trigger, fact.status_code or 0, fact.body


def _clock() -> float:
    return 0.0
