"""One running saga in memory: its machine, what it was started with, what it has learnt, and what is not saved yet."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any
from uuid import UUID, uuid4

from transitions import EventData

from app.store.audit import Entry
from machines.call import FillError, look_up
from machines.machine import SagaMachine
from machines.rows import Trigger
from machines.saga import Saga
from machines.statuses import status_of

#: Characters of a client, a store or an order number that are kept: an index of PostgreSQL takes 2,704 bytes.
LONGEST_ORDER = 200

#: The statuses of what has ended for good, and of what the engine carries on by itself.
FINISHED = ("completed", "compensated")
UNDER_WAY = ("running", "compensating")


@dataclass(frozen=True, kw_only=True)
class Move:
    """One row of the journal before the database has dated it; see `JournalRow` for the columns.

    made: when it happened, on the saga's clock.
    """

    seq: int
    source: str | None
    trigger: str
    dest: str
    actor: str
    made: float
    step: str | None = None
    direction: str | None = None
    attempt: int | None = None
    reason: str | None = None
    status_code: int | None = None
    reply: Mapping[str, Any] | None = None
    duration_ms: float | None = None
    event: str | None = None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a saga stood at its last commit. error: why it failed, if it did. replayed: read back by its key."""

    id: UUID
    state: str
    status: str
    error: str | None
    replayed: bool = False


def known_by(value: object) -> str | None:
    """Return a value of a saga's data as the database keeps it for searches: as text, shortened."""
    return None if value is None else str(value)[:LONGEST_ORDER]


class Instance(SagaMachine):
    """A saga that one process runs. After an exception it is forgotten, and read again from the store.

    sent_key, key: the Idempotency-Key it was started with, as it was sent and as it is stored, see app.engine.keys.
    fingerprint, sent_digest, started_by: what the request was, and who asked; see `SagaRow`.
    results: the reply of each step that succeeded, by step. unsure: an attempt of the call in flight is
    unaccounted for, so that a later refusal does not prove that nothing happened. pending: nobody has asked yet that
    it begin. claims: how often it was claimed since it last moved. called: a call was sent, or may have been, since
    this process has the saga. waits_for: the reason why the call in flight is to be sent again.
    lease_end, deadline: on the store's clock, in seconds; until when it is this process's, and may be sent forward.
    begun: when it began, on this process's own clock, where it did so in this process.
    standing: what others may be told; None until it is durable, and then nothing of it has been done yet.
    asked: what a person asked of it, to be told in the audit trail by the very commit that does it.
    clock: this process's own, in seconds; it dates each move.
    first_moves: those of its beginning. first_commit: held by who makes it durable. early: the saga as another thread
    made it durable, as it began, until its own first commit takes that up; early_tried: one may have done so.
    key_taken: its Idempotency-Key turned out to be another saga's.
    """

    def __init__(
        self, definition: Saga, saga_id: UUID, data: Mapping[str, Any], state: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        super().__init__(definition, state)
        self.clock = clock
        self.id = saga_id
        self.data = data
        self.key: str | None = None
        self.fingerprint: str | None = None
        self.sent_key: str | None = None
        self.sent_digest: str | None = None
        self.started_by: str | None = None
        self.results: dict[str, Any] = {}
        self.unsaved: list[Move] = []
        self.next_seq = 1
        self.attempt = 0
        self.deferrals = 0
        self.error: str | None = None
        self.epoch = 1
        self.version = 0
        self.unsure = False
        self.pending = False
        self.claims = 0
        self.called = False
        self.waits_for: str | None = None
        self.lease_end = inf
        self.deadline = inf
        self.begun: float | None = None
        self.standing: Standing | None = None
        self.asked: Entry | None = None
        self.first_moves: tuple[Move, ...] = ()
        self.first_commit = threading.Lock()
        self.early: Instance | None = None
        self.early_tried = self.key_taken = False

    @classmethod
    def new(
        cls, definition: Saga, data: Mapping[str, Any], actor: str, clock: Callable[[], float] = time.monotonic
    ) -> "Instance":
        """Make a new saga that stands before its first call."""
        saga = cls(definition, uuid4(), data, clock=clock)
        saga.begun = clock()
        saga._note(source=None, trigger="start", dest=saga.state, actor=actor)
        if saga.may(Trigger.BEGIN):
            saga.fire(Trigger.BEGIN, actor=actor)
        saga.first_moves = tuple(saga.unsaved)
        return saga

    def as_it_began(self) -> "Instance":
        """Return the saga as it was at its beginning; another thread may be moving this one."""
        first = Instance(self.definition, self.id, self.data, self.first_moves[-1].dest, self.clock)
        first.sent_key, first.key, first.started_by = self.sent_key, self.key, self.started_by
        first.fingerprint, first.sent_digest = self.fingerprint, self.sent_digest
        first.begun, first.unsaved, first.next_seq = self.begun, list(self.first_moves), len(self.first_moves) + 1
        return first

    def take_up(self, first: "Instance") -> None:
        """Go on from what was made durable of it, as it began."""
        self.early = first
        self.version, self.standing, self.deadline = first.version, first.standing, first.deadline
        self.lease_end = first.lease_end
        self.unsaved = [move for move in self.unsaved if move.seq >= first.next_seq]

    @property
    def durable(self) -> Standing | None:
        """Where it stood at its last commit, whoever has made that; None while there was none."""
        return self.standing or (self.early.standing if self.early else None)

    @property
    def began(self) -> float:
        """When it began, on the store's clock; infinite while it is not known."""
        return self.begun if self.begun is not None else self.deadline - self.definition.deadline_s

    @property
    def status(self) -> str:
        return status_of(self.at.phase, pending=self.pending)

    @property
    def order(self) -> str | None:
        """What people know it by, as far as that is known yet."""
        try:
            known = look_up(self.definition.order, self.data, self.results) if self.definition.order else None
        except (FillError, TypeError):  # TypeError: a step that was resolved by hand, without a reply
            known = None
        return known_by(known)

    def begin_now(self) -> None:
        """Let a pending saga begin: nobody has sent anything for it yet."""
        self.pending = self.unsure = False
        self.begun = self.clock()

    def ask(self, trigger: Trigger, actor: str, reason: str) -> None:
        """Take note of what a person asks, before it moves: nobody can move it and leave that out of the trail."""
        assert self.standing is not None, "a person asks for what is durable"
        self.asked = Entry(
            actor=actor,
            action=f"saga.{trigger}",
            saga_id=self.id,
            target=self.definition.name,
            reason=reason,
            before={"state": self.standing.state, "status": self.standing.status, "version": self.version},
        )

    def committed(self) -> None:
        """Take note that a commit of what was unsaved has been made."""
        self.version += 1
        self.unsaved, self.asked = [], None
        self.standing = Standing(id=self.id, state=self.state, status=self.status, error=self.error)

    def moved(self, event: EventData) -> None:
        row = event.transition
        assert row is not None
        self._note(source=row.source, trigger=event.event.name, dest=self.state, **event.kwargs)
        if row.source == row.dest:
            self.waits_for = event.kwargs.get("reason")
            self.attempt += event.event.name == Trigger.RETRY
            self.deferrals += event.event.name == Trigger.DEFER
        else:
            self.attempt, self.deferrals, self.waits_for = 0, 0, None
            # A person who sends the call of a stuck saga again knows no better what became of the attempts before.
            self.unsure = event.event.name == Trigger.RETRY

    def _note(self, *, source: str | None, trigger: str, dest: str, **columns: Any) -> None:
        again = source == dest or trigger == Trigger.RETRY  # into a state that was entered, and told of, before
        event = None if again else self.definition.events.get(dest)
        made = self.clock()
        self.unsaved.append(
            Move(seq=self.next_seq, source=source, trigger=trigger, dest=dest, event=event, made=made, **columns)
        )
        self.next_seq += 1
        self.claims = 0
