"""What the search needs of the engine for one table: sagas, journals, replies, signals and answers.

A saga of the engine is made from a state of the search, and becomes a part of a state again.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any
from uuid import UUID

from machines.attempts import later_answer, understood
from machines.call import Call
from machines.history import AFTER_DOUBT, BRANCH, NOTHING_FOUND, replies
from machines.keeps import kept_of
from machines.later import arrival_name
from machines.outcomes import Outcome
from machines.progress import UNDECIDED
from machines.references import FillError, end_name, parts, roots_of, within
from machines.replies import Reply
from machines.restoring import restore, restored_in_doubt
from machines.running import Move, RunningSaga
from machines.saga import Saga
from machines.step import CALLING, Step
from machines.transitions import DONE, NOWHERE, Direction, Trigger
from machines.verify.disputes import disputed_bodies
from machines.verify.distinct import distinct_data, put
from machines.verify.kinship import Kinship
from machines.verify.meanings import Truth
from machines.verify.replying import WITHOUT_FIELDS, replies_to
from machines.verify.samples import bodies_of, varies
from machines.verify.truth import is_legal, near_misses
from machines.verify.values import Request, UnknownError, answer_of, same, stored_of
from machines.verify.wait_ends import meaning_of
from machines.verify.world import Bodies, Fact, Memory, Row, Seen
from machines.waiting import Waiting

SAGA_ID, PARENT_ID = UUID("11111111-2222-4333-8444-555555555555"), UUID("99999999-2222-4333-8444-555555555555")
#: Actors in the journal.
ENGINE, PERSON = "engine", "operator"
#: Most claims without a move. After one, a further takeover meets the same states again.
MAX_CLAIMS = 1
#: Failed attempts from which on they are alike; more than any table of the search has. An engine whose attempts do not
#: end comes back to the same states.
MOST_FAILED = 5
#: The deadline, and the time when it is over, in seconds; it is always 0 before.
DEADLINE_S, LATE_S = 1e9, 2e9
#: When the present state was entered, for a process that sees its wait over.
LONG_AGO_S = -1e12
#: What a participant has decided of an accepted action → what is then true of its answer.
_DECIDED = {"done": Truth.DONE, "refused": Truth.REFUSED, "left": Truth.LEFT}


class Machinery:
    """The engine of one table. It remembers what a process does, so each point is computed once."""

    def __init__(
        self, definition: Saga, data: Mapping[str, Any], kinship: Kinship | None = None, accepted: Collection[str] = ()
    ) -> None:  # fmt: skip
        """See `machines.verify.replying.replies_to` for accepted."""
        self.definition, self.data, self._accepted = definition, data, accepted
        self.kinship = kinship or Kinship()
        self.bodies, self.requests = Bodies(), Bodies()
        self._calling = {step.name for step in definition.steps if step.kind in CALLING and step.starts is None}
        #: Name of a signal or an answer, and its kind → its body.
        self.arrivals: dict[tuple[str, str], Mapping[str, Any]] = {}
        #: Step, and what its participant has done → the kinds of its later answers.
        self._answers: dict[tuple[str, str], Sequence[str]] = {}
        self._replies: dict[tuple[int, bool], Mapping[Truth, list[tuple[str, Reply]]]] = {}
        self._meanings: dict[tuple[Any, ...], Mapping[Truth, tuple[tuple[str, Outcome], ...]]] = {}
        #: Step → bodies of its success after which a call is sent otherwise than the table says.
        self._disputed: dict[str, list[Any]] = {}
        self._calls: list[Call] = []  # kept, because the number of an object is its own only while it lives

    def new(self, *, pending: bool = False) -> RunningSaga:
        """Return a saga that was just created. pending: it waits for its start."""
        saga = self._saga(NOWHERE)
        saga.create(actor=ENGINE)
        saga.pending = pending
        return saga

    def _saga(self, state: str, *, in_doubt: bool = False) -> RunningSaga:
        saga = RunningSaga(self.definition, SAGA_ID, self.data, state, _clock, in_doubt=in_doubt)
        if self.kinship.of_child is not None:
            saga.parent_id, saga.parent_step = PARENT_ID, "step"
        return saga

    def load(self, row: Row, facts: frozenset[Fact], seen: Seen, own_claims: int) -> RunningSaga:
        """Return the saga as a process reads it. own_claims: its own claims."""
        in_doubt = restored_in_doubt(self.definition.states[row.state], row, own_claims)
        saga = self._saga(row.state, in_doubt=in_doubt)
        saga.goes_back = row.goes_back
        restore(saga, _AsStored(row), self.journal(facts))
        saga.waits_for, saga.deadline = None, DEADLINE_S
        saga.entered = LONG_AGO_S if seen.over else 0.0
        return saga

    def journal(self, facts: frozenset[Fact]) -> list[Move]:
        """Return facts as rows of a journal, each reply as it was stored."""
        rows = [self._move(fact) for fact in sorted(facts, key=_in_order)]
        return [*rows, Move(seq=1, source=None, trigger=Trigger.START, dest="", actor=ENGINE, made=0.0)]

    def _move(self, fact: Fact) -> Move:
        move = Move(seq=0, source="", trigger=Trigger(fact.trigger), dest=fact.dest, actor=ENGINE, made=0.0, reason="")
        move.actor = PERSON if fact.by_hand else ENGINE
        move.step, move.direction, move.status_code = fact.step or None, fact.direction or None, fact.status_code
        move.reply, move.event = self.bodies.value(fact.body), fact.event or None
        move.reason = NOTHING_FOUND if fact.not_found else AFTER_DOUBT if fact.doubted else BRANCH * fact.branch
        return move

    def saga_of(self, memory: Memory) -> RunningSaga:
        """Return the saga that a process has in its memory."""
        saga = self._saga(memory.state, in_doubt=memory.in_doubt)
        saga.goes_back, saga.was_refused = memory.goes_back, memory.was_refused
        saga.failed_attempts, saga.sends_again, saga.pending = memory[2:5]
        saga.results = dict(self.bodies.results(memory.results))
        saga.skipped, saga.claims, saga.arrived = memory.skipped, memory.claims, memory.arrived
        saga.unsaved = [self._move(fact) for fact in memory.moves]
        saga.entered = 0.0
        saga.deadline = DEADLINE_S if memory.stored else inf
        saga.missing_children = memory.missing
        return saga

    def numbered(self, saga: RunningSaga) -> tuple[tuple[str, int], ...]:
        """Return the replies that a saga knows, each with its number."""
        return tuple(sorted((step, self.bodies.number(reply)) for step, reply in saga.results.items()))

    def memory_of(self, saga: RunningSaga, *, stored: bool, in_run: bool = False) -> Memory:
        """Return what a process remembers of a saga. in_run: it goes on in the run in which it has done this."""
        return Memory(
            state=saga.state, in_doubt=saga.in_doubt, failed_attempts=min(saga.failed_attempts, MOST_FAILED),
            sends_again=saga.sends_again, pending=saga.pending,
            results=self.numbered(saga),
            skipped=saga.skipped, moves=self.facts_of(saga.unsaved), claims=saga.claims, arrived=saga.arrived,
            stored=stored, goes_back=saga.goes_back, was_refused=saga.was_refused, in_run=in_run and saga.goes_back,
            missing=saga.missing_children,
        )  # fmt: skip

    def facts_of(self, moves: list[Move]) -> tuple[Fact, ...]:
        return tuple(
            Fact(
                trigger=move.trigger, dest=move.dest, step=move.step or "", direction=move.direction or "",
                status_code=move.status_code if move.trigger == Trigger.DEFER else None,
                body=self.bodies.number(move.reply) if _is_reply(move) else -1, by_hand=move.actor == PERSON,
                doubted=AFTER_DOUBT in (move.reason or ""),
                not_found=(move.reason or "").startswith(NOTHING_FOUND),
                branch=(move.reason or "").startswith(BRANCH), event=move.event or "", unfit=self._unfit(move),
            )
            for move in moves
        )  # fmt: skip

    def _unfit(self, move: Move) -> str:
        """Return why a step was refused although nothing of it was sent; "" for every other move."""
        if move.trigger not in (Trigger.REFUSED, Trigger.REFUSED_IN_DOUBT) or move.direction != Direction.DO:
            return ""
        reason = move.reason or ""
        unsent = move.status_code is None and move.step in self._calling
        return reason if unsent or reason.startswith(UNDECIDED) else ""

    def unfit_at_end(self, call: Call, facts: frozenset[Fact]) -> str:
        """Return why a call of `at_end=` cannot be built from the data and the replies; "" when it can."""
        try:
            self.request_at_end(call, facts)
        except FillError as error:
            return str(error)
        return ""

    def request_at_end(self, call: Call, facts: frozenset[Fact]) -> Request:
        """Return what a call of `at_end=` sends, without the headers of each call. Raise FillError."""
        results = replies(self.journal(facts))  # type: ignore[arg-type]
        known = self.data, results, roots_of(str(SAGA_ID), end_name("completed"), Direction.DO)
        body = call.filled_body(*known) if call.method != "GET" else None
        return Request(call.method, call.participant, call.filled_path(*known), call.filled_headers(*known), body)

    def replies(self, saga: RunningSaga, call: Call, *, undoes: bool) -> Mapping[Truth, list[tuple[str, Reply]]]:
        """Return every reply to a call, by its truth."""
        known = (id(call), undoes)
        if known not in self._replies:
            assert saga.current.step is not None
            found = replies_to(self.definition, saga.current.step, call, undoes=undoes, accepted=self._accepted)
            self._replies[known] = found if undoes else self._varied(saga.current.step, found)
            self._calls.append(call)
        return self._replies[known]

    def known_replies(self, call: Call) -> Iterator[Reply]:
        """Yield every reply to a call of an action that was asked for."""
        for found in self._replies.get((id(call), False), {}).values():
            yield from (reply for _, reply in found)

    def _varied(
        self, step: Step, replies: Mapping[Truth, list[tuple[str, Reply]]]
    ) -> Mapping[Truth, list[tuple[str, Reply]]]:
        """Return the replies with further successes, for the conditions that later steps have."""
        name, reply = replies[Truth.DONE][0]
        if step.name not in self._disputed:
            self._disputed[step.name] = list(disputed_bodies(self.definition, step, reply.body))
        bodies = [*self._disputed[step.name]]
        if varies(self.definition, step):
            bodies += bodies_of(self.definition, step, reply.body, self.kinship.items)
        more = [(f"{name} ({number})", replace(reply, body=body)) for number, body in enumerate(bodies, 1)]
        return {**replies, Truth.DONE: [*replies[Truth.DONE], *more]}

    def signals(self, step: Step) -> Iterator[str]:
        """Yield the kinds of the signal that a step waits for: one for each outcome of its body."""
        assert step.waits is not None
        assert step.waits.signal is not None
        body, found = distinct_data(step.waits.brings, f"{step.name}."), set()
        bare = {name: body[name] for name, field in step.waits.brings.items() if not field.optional}
        lacking = ((f"{kind}{WITHOUT_FIELDS}", each) for kind, each in _signals(step.waits, bare) if bare != body)
        for kind, each in [("", body), *_signals(step.waits, body), *lacking]:
            outcome = meaning_of(step.waits, each)
            meaning = outcome, step.waits.outcome_of(each)
            if meaning not in found:
                found.add(meaning)
                self.arrivals[step.waits.signal, kind or str(outcome)] = each
                yield kind or str(outcome)

    def kinds_of(self, name: str) -> Iterator[str]:
        """Yield every kind of a signal or an answer."""
        for step in self.definition.steps:
            if step.waits is not None and step.waits.signal == name:
                yield from self.signals(step)
            elif step.later is not None and step.poll is None and arrival_name(step.name) == name:
                yield from (kind for seen in _DECIDED for kind in self.answers(step, seen))

    def answers(self, step: Step, seen: str) -> Sequence[str]:
        """Return the kinds of the answers that a participant may send later. seen: what it has done.

        Each kind means something else to the engine: another outcome, or another reply to keep.
        """
        known = (step.name, seen)
        if known not in self._answers:
            self._answers[known] = list(self._find_answers(step, seen)) if seen in _DECIDED else []
        return self._answers[known]

    def _find_answers(self, step: Step, seen: str) -> Iterator[str]:
        assert step.call is not None
        found = set[str]()
        replies = self._varied(step, replies_to(self.definition, step, step.call, undoes=False))
        for name, reply in (*replies[_DECIDED[seen]], *replies[Truth.UNKNOWN]):
            body = later_answer(self.definition, step, replace(reply))[0] if reply.status is not None else None
            if body is None:
                continue
            meaning = repr((body["outcome"], None if body["outcome"] == Outcome.REFUSED else body["reply"]))
            if meaning not in found:
                kind = f"{seen}: {name}" if found else seen
                found.add(meaning)
                self.arrivals[arrival_name(step.name), kind] = body
                yield kind

    def meanings(
        self, saga: RunningSaga, call: Call, direction: Direction
    ) -> Mapping[Truth, tuple[tuple[str, Outcome], ...]]:
        """Return the replies to a call that mean different things to the engine: the name and the outcome of each."""
        results = self.numbered(saga)
        known = (id(call), direction, saga.state, results if call is saga.current.poll else ())
        if known not in self._meanings:
            replies = self.replies(saga, call, undoes=direction is Direction.UNDO)
            self._meanings[known] = {
                truth: tuple(self._different(saga, call, direction, each)) for truth, each in replies.items()
            }
        return self._meanings[known]

    def _decides(self, step: Step) -> bool:
        return bool(self._disputed.get(step.name)) or varies(self.definition, step)

    def _different(
        self, saga: RunningSaga, call: Call, direction: Direction, replies: list[tuple[str, Reply]]
    ) -> list[tuple[str, Outcome]]:
        """Return the first of all replies that mean the same to the engine."""
        at, found = saga.current, dict[tuple[Any, ...], tuple[str, Outcome]]()
        for name, reply in replies:
            read, outcome = understood(saga, call, direction, replace(reply))
            has_body = read.body is not None and outcome in (Outcome.REFUSED_UNDO, Outcome.ACCEPTED)
            sent = read.sent or at.probe is None
            is_kept = outcome in (Outcome.SUCCEEDED, Outcome.ACCEPTED) and direction is Direction.DO
            lacks = is_kept and lacked(saga.definition, at.step, read.body)
            checked = outcome is Outcome.SUCCEEDED and is_kept and not lacks
            wrong = checked and at.step is not None and is_kept_wrongly(saga, at.step, call, reply, read)
            meaning = (outcome, read.asks_to_wait, sent, read.final, has_body, lacks, wrong)
            decides = outcome is Outcome.SUCCEEDED and at.step is not None and self._decides(at.step)
            found.setdefault((*meaning, repr(read.body)) if decides else meaning, (name, outcome))
        return list(found.values())


class _AsStored:
    """A row, with the columns that `restore` reads besides those of `Row`."""

    deferrals, error = 0, None

    def __init__(self, row: Row) -> None:
        self.claims, self.attempt, self.arrived, self.status = row.claims, row.attempt, row.arrived, row.status


def is_kept_wrongly(saga: RunningSaga, step: Step, call: Call, reply: Reply, read: Reply) -> bool:
    """Return True when something else is kept of a reply than the table says. read: the reply as it is kept."""
    try:
        polled = call is step.poll
        said = answer_of(step, reply, saga.results.get(step.name)) if polled else stored_of(step, call, reply)
        return not same(read.body, said)
    except UnknownError:
        return True


def lacked(definition: Saga, step: Step | None, stored: Any) -> str:
    """Return the first field that the table keeps or needs of a step's reply and that is not stored; "": none."""
    if step is None:
        return ""
    kept = (name for name, each in step.keeps.items() if not kept_of(name, each).field.optional)
    for name in (*kept, *sorted(definition.needed_fields[step.name])):
        try:
            within(stored, parts(name))
        except (LookupError, TypeError):
            return name
    return ""


def _signals(waits: Waiting, body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, meanings in waits.means.items():
        near = near_misses([each for each in meanings if each is not None])
        for value in (*meanings, *(each for each in near if is_legal(waits.brings.get(path), each))):
            yield f"{path} {value!r}", put(body, path, value)


def _is_reply(move: Move) -> bool:
    """Return True when the reply of a move is read again: that of an action which succeeded or was accepted."""
    return move.direction == Direction.DO and (move.trigger in DONE or move.trigger == Trigger.ACCEPTED)


def _in_order(fact: Fact) -> tuple[Any, ...]:
    return fact.step, fact.direction, fact.trigger, fact.status_code or 0, fact.body


def _clock() -> float:
    return 0.0
