"""A process of the engine in the search: the loop of `machines.loop` itself, stopped at each commit and each request.

The loop runs until it needs something from outside: a commit, or the reply to a request. There it is left by an
exception, and the point is a state of the search. To go on from there, the turn of the loop runs again from its start,
with what it has learned so far (`Process.log`). What the loop does not read is not learned, so two processes that have
read the same are one. Nothing of the engine is copied here.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf
from typing import Any, NamedTuple, NoReturn
from uuid import UUID

from machines.attempts import Attempts, filled, understood
from machines.call import Call
from machines.loop import Loop, RunEnd
from machines.outcomes import Outcome
from machines.references import FillError
from machines.replies import Reply
from machines.restoring import stored_in_doubt
from machines.running import RunningSaga
from machines.step import Kind
from machines.transitions import Direction, Phase, Trigger
from machines.verify.kinship import ModelFamilies, SeenChildren
from machines.verify.machinery import (
    DEADLINE_S,
    ENGINE,
    LATE_S,
    LONG_AGO_S,
    MAX_CLAIMS,
    MOST_FAILED,
    Machinery,
    is_kept_wrongly,
)
from machines.verify.meanings import Truth
from machines.verify.properties import Broken
from machines.verify.stays import AHEAD_S, TimedLoop
from machines.verify.values import Request
from machines.verify.world import (
    DUE_LATER,
    DUE_NOW,
    HELD,
    NEVER_DUE,
    Answer,
    Memory,
    Process,
    Question,
    Row,
    Save,
    Seen,
)
from machines.waits import Waits


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
    #: Number of the request, see `Machinery.requests`, and of the step's own reply that the process knows.
    request: int = -1
    own: int = -1
    #: Why this call, or the poll for its answer, cannot be built: then nothing is sent, and nothing can be.
    unfit: str = ""
    #: Number of attempts that the table allows after this one; negative: it does not allow this one.
    left: int = 0


class Turn(NamedTuple):
    """A process starts its next turn."""

    memory: Memory


class Done(NamedTuple):
    """The process has released the saga."""


#: Broken: the process has decided about a wait, and otherwise than its table says.
Point = Save | Send | Turn | Done | Question | Broken


class _Left(BaseException):
    """Ends the run of the loop at a point. No code of the loop may go on, so it is no Exception."""

    def __init__(self, point: Point) -> None:
        super().__init__()
        self.point = point


class _Arrivals:
    """The signals and answers that one process sees, and the clock of waits until a date."""

    def __init__(self, loop: "ModelLoop") -> None:
        self._loop = loop

    def find(self, _saga_id: UUID, name: str) -> Any:
        kind = self._loop.ask("find", name)
        return None if kind is None else _Arrived(self._loop.machinery.arrivals[name, kind])

    def seconds_until(self, moment: dt.datetime) -> float:
        self._loop.moment = moment
        return -1.0 if self._loop.ask("over") else AHEAD_S


class _Arrived:
    sender = "somebody"

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body


class _Entered(float):
    """When the saga entered the state in which the turn starts: only who reads it learns if its wait is over."""

    ask: Callable[..., Any]

    def __add__(self, seconds: float) -> float:
        return (LONG_AGO_S if self.ask("over") else float(self)) + seconds

    def __sub__(self, seconds: float) -> float:
        return self + -seconds


class _Calls(Attempts):
    """Sends requests by leaving the loop, and answers those that were answered before."""

    def __init__(self, loop: "ModelLoop") -> None:
        self._loop = loop

    def _send(self, saga: RunningSaga, call: Call, direction: Direction | None = None) -> tuple[Reply, Outcome]:
        at, loop = saga.current, self._loop
        assert at.step is not None
        direction = direction or at.direction
        purpose = _purpose(saga, call, direction)
        try:
            path, sent, body = filled(saga, call, direction, {}, _reply_to)
        except FillError as error:
            if purpose not in ("do", "read"):  # a call forward may be refused so: the saga goes back
                raise _Left(_never_sent(at.step.name, purpose, call, str(error))) from None
            return understood(saga, call, direction, Reply(error=str(error), sent=False, impossible=True))
        replies = loop.machinery.replies(saga, call, undoes=direction is Direction.UNDO)
        name = loop.learn()
        if name is None:
            meanings = loop.machinery.meanings(saga, call, direction)
            if at.step.asks is not None and purpose == "do":
                for known, outcome in meanings[Truth.ACCEPTED]:
                    if outcome is Outcome.IN_DOUBT:  # it has all that the poll asks by
                        reply = next(reply for each, reply in replies[Truth.ACCEPTED] if each == known)
                        why = understood(saga, call, direction, replace(reply))[0].reason
                        raise _Left(_never_sent(at.step.name, "poll", at.step.asks, why))
            left = saga.failed_attempts < at.retry.attempts and not saga.must_not_send
            acts_next = purpose == "probe" and at.phase is Phase.FORWARD and left
            raise _Left(
                Send(
                    purpose=purpose,
                    step=at.step.name,
                    key=sent["Idempotency-Key"],
                    replies=meanings,
                    can_expire=saga.may(Trigger.EXPIRE) or (at.awaits_answer and at.step.kind is Kind.PIVOT),
                    acts_next=acts_next,
                    request=loop.machinery.requests.number(Request(call.method, call.participant, path, sent, body)),
                    own=loop.machinery.bodies.number(saga.results.get(at.step.name)),
                    left=at.retry.attempts - saga.failed_attempts - 1,
                )
            )  # fmt: skip
        loop.asked.add(purpose)
        truth, _, name = name.partition(": ")
        reply = next(reply for known, reply in replies[Truth(truth)] if known == name)
        read, outcome = understood(saga, call, direction, replace(reply))
        kept = purpose == "poll" and outcome is Outcome.SUCCEEDED
        if kept and is_kept_wrongly(saga, at.step, call, reply, read):
            why = f"the saga keeps {read.body!r} of {at.step.name}, and its table does not say so of {reply.body!r}"
            loop.leave(Broken("as the table says", why))
        return read, outcome


def _reply_to(_saga_id: UUID, step: str) -> str:
    return f"https://saga.example/replies/{step}"


def _never_sent(step: str, purpose: str, call: Call, why: str) -> Send:
    unfit = f"the {purpose} of {step} ({call}) cannot be built: {why}"
    return Send(purpose=purpose, step=step, key="", replies={}, can_expire=False, acts_next=False, unfit=unfit)


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


class ModelLoop(TimedLoop):
    """The loop of one process, run from the start of its turn to its next point."""

    actor = ENGINE

    def __init__(self, machinery: Machinery, process: Process, seen: Seen | None = None) -> None:
        """seen: what the process reads of its surroundings; None: it stops where it reads what it has not learned."""
        super().__init__()
        self.machinery, self._process, self._seen = machinery, process, seen
        self.calls, self.waits = _Calls(self), Waits(arrivals=_Arrivals(self))
        self.families = ModelFamilies(
            children=SeenChildren(self), registry=machinery.kinship.registry, numbered=machinery.numbered
        )
        self.jitter = lambda longest_s: longest_s
        self.sleep = lambda _seconds: None
        self.stopping = lambda: self._process.stops
        #: What was read since the last commit or reply: it does not change in between.
        self._read: dict[Question, Any] = {}
        self._learned, self._turns = 0, 0
        self._stored = process.memory.stored

    def point(self) -> Point:
        """Run the loop to its next point, and return the point."""
        saga = self.machinery.saga_of(self._process.memory)
        saga.entered = _Entered(AHEAD_S if saga.pending else 0.0)
        saga.entered.ask = self.ask
        try:
            self.run(saga, inf if self._process.patient else 0.0)
        except _Left as left:
            return left.point
        return Done()

    def run(self, saga: RunningSaga, max_sleep_s: float, until: float = inf) -> RunEnd:
        """Start a run, or go on in it after a turn."""
        if self._process.memory.in_run:
            return Loop.run(self, saga, max_sleep_s, until)
        return super().run(saga, max_sleep_s, until)

    def ask(self, what: str, name: str = "") -> Any:
        """Return what the process reads of its surroundings."""
        if what == "over" and self._process.memory.has_just_entered:
            return False
        question = Question(what, name)
        if self._seen is not None:
            return self._seen.answer(question)
        if question not in self._read:
            if self._learned >= len(self._process.log):
                raise _Left(question)
            answer = self._process.log[self._learned]
            assert isinstance(answer, Answer), answer
            assert answer.question == question
            self._read[question], self._learned = answer.value, self._learned + 1
        return self._read[question]

    def learn(self) -> str | None:
        """Return what happened next in the log of the process; None at its end."""
        self._read = {}
        if self._learned >= len(self._process.log):
            return None
        name = self._process.log[self._learned]
        assert isinstance(name, str), name
        self._learned += 1
        return name

    @property
    def max_claims(self) -> int:
        return MAX_CLAIMS

    def now(self) -> float:
        return LATE_S if self.ask("late") else 0.0

    def commit(self, saga: RunningSaga, wait_s: float = 0.0) -> None:
        self._save(saga, HELD, held=True, waits=wait_s > 0)

    def release(self, saga: RunningSaga, after_s: float | None) -> None:
        if saga.pending and after_s != AHEAD_S:
            self.leave(Broken("in time", "the saga is released, and it is not due at its start time"))
        waits = saga.current.waits is not None or saga.pending
        due = NEVER_DUE if after_s is None else DUE_LATER if waits and after_s > 0 else DUE_NOW
        self._save(saga, due, held=False)

    def _save(self, saga: RunningSaga, due: str, *, held: bool, waits: bool = True) -> None:
        if self.learn() is None:
            raise _Left(self.save_of(saga, due, held=held, goes_on=held and not waits))
        saga.unsaved, self._stored, saga.deadline, saga.missing_children = [], True, DEADLINE_S, None

    def save_of(self, saga: RunningSaga, due: str, *, held: bool, goes_on: bool = False) -> Save:
        """Return the commit of a saga. goes_on: the turn of the process goes on after the commit."""
        if saga.current.awaits_child:
            self.families.prepare(saga)
        holds = held and not goes_on
        return Save(
            row=self.row_of(saga, due, held=held), moves=self.machinery.facts_of(saga.unsaved), known=saga.arrived,
            goes_on=goes_on,
            then=self._memory_of(saga, stored=True)._replace(moves=(), missing=None) if holds else None,
            wakes=saga.ends_for_parent, quiet=saga.ends_for_parent and saga.ends_quietly,
            retried=saga.current.awaits_child and saga.retries_by_hand, missing=saga.missing_children,
        )  # fmt: skip

    def row_of(self, saga: RunningSaga, due: str, *, held: bool) -> Row:
        """Return the row that a commit stores, as `app.store.sagas` does."""
        return Row(
            state=saga.state, status=saga.status,
            unsure=stored_in_doubt(saga, held=held) and not saga.current.awaits_child,  # nobody reads it there
            claims=min(saga.claims if held else 0, MAX_CLAIMS + 1), attempt=min(saga.failed_attempts, MOST_FAILED),
            arrived=saga.arrived, due=due, goes_back=saga.goes_back,
        )  # fmt: skip

    def _memory_of(self, saga: RunningSaga, *, stored: bool) -> Memory:
        return self.machinery.memory_of(saga, stored=stored, in_run=self._turns > 0)

    def _covered(self, saga: RunningSaga) -> bool:  # noqa: ARG002  a lease that ends is a death of its process
        return True

    def leave(self, point: Broken) -> NoReturn:
        raise _Left(point)

    def _turn(self, saga: RunningSaga, max_sleep_s: float, until: float = inf) -> RunEnd | None:
        if self._turns:
            raise _Left(Turn(self._memory_of(saga, stored=self._stored)))
        self._turns += 1
        return super()._turn(saga, max_sleep_s, until)
