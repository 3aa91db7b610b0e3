"""The loop of `machines.loop` over a database: what a commit, a lease and a release are."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from app.config import Config
from app.engine.calls import Calls
from app.store.arrivals import Arrivals
from app.store.instance import Instance, SagaSnapshot
from app.store.sagas import KeyTakenError, SagaStore
from app.telemetry import Telemetry
from machines.families import Families, FamilyLoop
from machines.later import arrival_name
from machines.running import Move
from machines.statuses import FINISHED, REPORTED
from machines.transitions import Trigger
from machines.waits import Waits


@dataclass(frozen=True, kw_only=True)
class Engine(FamilyLoop[Instance]):
    """The loop, with the store, the calls and the telemetry that it uses."""

    #: Settings of the process.
    config: Config
    #: Where sagas are stored.
    store: SagaStore
    #: Sends the calls to participants.
    calls: Calls
    #: Ends the waits of sagas.
    waits: Waits[Arrivals]
    #: Starts the children of sagas, and ends the waits of their parents.
    families: Families
    #: Counts and logs the committed moves.
    telemetry: Telemetry
    #: Actor in the journal of the moves that the engine makes.
    actor: str
    #: Returns a random wait from 0 to its argument, in seconds.
    jitter: Callable[[float], float]
    #: Waits for its argument, in seconds.
    sleep: Callable[[float], object] = time.sleep
    #: Returns True when this process is to end, so that sagas are released and no further call is sent.
    stopping: Callable[[], bool] = lambda: False
    #: Returns True when a person has paused this participant, so that no call is sent to it.
    is_paused: Callable[[str], bool] = lambda _name: False
    #: Called when an event has become durable and is to be published.
    on_event: Callable[[], object] = lambda: None
    #: Called when a message to a webhook has become durable and is to be sent.
    on_delivery: Callable[[], object] = lambda: None
    #: Called when a child of a saga, or the parent of a child, is due.
    on_due: Callable[[], object] = lambda: None

    @property
    def max_claims(self) -> int:
        return self.config.max_claims

    def now(self) -> float:
        return self.store.clock()

    def commit(self, saga: Instance, wait_s: float = 0.0) -> None:
        """Commit and keep the saga: its lease outlasts the wait and the next call.

        The lease is renewed only when less than half of it would remain after the next call.
        """
        busy_s, lease_s = wait_s + self._call_s(saga), self.config.lease_s
        self._save(saga, busy_s + lease_s, self.store.owner, enough_s=busy_s + lease_s / 2)

    def release(self, saga: Instance, after_s: float | None) -> None:
        """Commit and release the saga.

        after_s: seconds until the saga is due again; None: the saga has ended or needs a person.
        """
        self._save(saga, after_s, None)

    def answered_early(self, saga: Instance) -> bool:
        """Return True when the callback came before the commit with which the saga began to wait for it.

        The sender of a later callback has the saga claimed itself.
        """
        at = saga.current
        if at.step is None or not at.awaits_answer or at.poll:
            return False
        return self.waits.arrivals.find(saga.id, arrival_name(at.step.name)) is not None

    def request_move(
        self, saga: Instance, trigger: Trigger, actor: str, reason: str, reply: Mapping[str, Any] | None = None
    ) -> None:
        saga.prepare_audit(trigger, actor, reason)
        super().request_move(saga, trigger, actor, reason, reply)

    def _save(self, saga: Instance, delay_s: float | None, owner: str | None, enough_s: float | None = None) -> None:
        """Commit the unsaved moves, and only then count and log them. The arguments are those of `SagaStore.save`."""
        if saga.current.awaits_child:
            self.families.prepare(saga)
        ends_for_parent = saga.ends_for_parent
        if saga.committed_snapshot is None:
            moves, before = self._first_commit(saga, delay_s, owner)
        else:
            moves, before = saga.unsaved, saga.committed_snapshot
            self.store.save(saga, delay_s, owner, enough_s)
        if saga.definition.events and any(move.event for move in moves):
            self.on_event()
        if saga.current.phase in REPORTED and self.store.reports(saga):
            self.on_delivery()
        self.telemetry.committed(saga, moves, before)
        for child in saga.born:
            self.telemetry.committed(child, child.start_moves)
        saga.born = ()
        if saga.current.awaits_child or ends_for_parent:
            self.on_due()
        if saga.status in FINISHED and saga.started_at < inf:
            self.calls.traces.ended(saga, self.store.clock() - saga.started_at)

    def insert_all(
        self, sagas: Sequence[Instance], also: Callable[[Connection], None] = lambda _connection: None
    ) -> None:
        """Store new sagas in one commit. Each saga is due at its start. Store nothing when an error is raised.

        Raise KeyTakenError when a key is taken, and the errors of `also`. also: called first, in the same transaction.
        """
        moves = [saga.unsaved for saga in sagas]
        self.store.insert_all(sagas, also)
        if any(move.event for made in moves for move in made):
            self.on_event()
        for saga, made in zip(sagas, moves, strict=True):
            self.telemetry.committed(saga, made)

    def insert_early(self, saga: Instance) -> None:
        """Insert a saga in its initial state while another thread runs it and has not made it durable.

        Raise KeyTakenError, and SQLAlchemy's errors when the insert failed or its result is unknown.
        """
        if saga.durable or not saga.first_commit.acquire(blocking=False):
            return  # the saga's own thread is inserting it now
        try:
            if saga.durable:
                return
            saga.insert_tried, first = True, saga.as_started()
            moves, delay_s = first.unsaved, self._call_s(first) + self.config.lease_s
            self.store.insert_first(first, delay_s, self.store.owner)
            saga.early_copy = first
        finally:
            saga.first_commit.release()
        self.telemetry.committed(first, moves)

    def _first_commit(
        self, saga: Instance, delay_s: float | None, owner: str | None
    ) -> tuple[Sequence[Move], SagaSnapshot | None]:
        """Insert the saga, or update it after an early insert. Return the committed moves.

        Also return the snapshot of the saga before these moves; None: the saga was inserted.
        """
        with saga.first_commit:
            if saga.early_copy is None:
                try:
                    moves = saga.unsaved
                    self.store.insert(saga, delay_s, owner)
                except (KeyTakenError, IntegrityError):
                    if not (saga.insert_tried and self.store.find(saga.id)):
                        raise
                    # The early insert was committed, although its thread got an error.
                    saga.early_copy = saga.as_started()
                    saga.early_copy.committed()
                else:
                    return moves, None
            saga.adopt(saga.early_copy)
        moves, before = saga.unsaved, saga.committed_snapshot
        self.store.save(saga, delay_s, owner)
        return moves, before

    def _covered(self, saga: Instance) -> bool:
        """Return True when the lease outlasts the next call, so that no other process can claim the saga during it."""
        lease_end = saga.early_copy.lease_end if saga.committed_snapshot is None and saga.early_copy else saga.lease_end
        return lease_end - self.store.clock() > self._call_s(saga)
