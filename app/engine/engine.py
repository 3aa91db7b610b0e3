"""The loop that drives a saga along the transitions of its table. It is the same loop for every table.

    commit → send → outcome → move → commit → send → …

A call with an effect is sent only after its intent is durable. The intent is the commit of the state that names the
call. The commit of one call's outcome is also the intent of the next call, so n steps with an effect cost n + 1
commits. A read changes nothing, so it needs no intent, and its outcome is stored with the next commit.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from math import inf
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from app.calls.outcome import Reply
from app.config import Config
from app.engine.calls import Calls
from app.engine.waits import Waits
from app.store.instance import Instance, Move, SagaSnapshot
from app.store.sagas import KeyTakenError, SagaStore
from app.telemetry import Telemetry
from machines.outcomes import Outcome
from machines.retry import Retry
from machines.statuses import FINISHED, REPORTED
from machines.transitions import Phase, Trigger

#: Longest Retry-After that is obeyed, in seconds. A longer Retry-After is obeyed only up to the deadline of the saga.
LONGEST_RETRY_AFTER_S = 3600.0


class RunEnd(Enum):
    """Why a run of a saga has ended."""

    #: The saga has ended, waits, or is stuck. The process no longer holds the saga.
    RELEASED = auto()
    #: The next call might last beyond the limit of the run. The process still holds the saga and must run it again.
    OUT_OF_TIME = auto()


class IncompleteReplyError(ValueError):
    """A person resolved a step with a reply that lacks fields for later calls.

    fields: the name of each field, or why it is wrong.
    """

    def __init__(self, fields: Sequence[str]) -> None:
        super().__init__(", ".join(fields))
        self.fields = fields


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The loop, with the store, the calls and the telemetry that it uses."""

    #: Settings of the process.
    config: Config
    #: Where sagas are stored.
    store: SagaStore
    #: Sends the calls to participants.
    calls: Calls
    #: Ends the waits of sagas.
    waits: Waits
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
    #: Called when an event has become durable and is to be published.
    on_event: Callable[[], object] = lambda: None
    #: Called when a message to a webhook has become durable and is to be sent.
    on_delivery: Callable[[], object] = lambda: None

    def run(self, saga: Instance, max_sleep_s: float, until: float = inf) -> RunEnd:
        """Drive the saga until it ends, is stuck, or must wait longer than `max_sleep_s` seconds. Then release it.

        until: end of the run, on the clock of time.monotonic. Release the saga when a wait would last beyond it. Return
        OUT_OF_TIME, without a release, when the next call might last beyond it. After a FencedError or KeyTakenError
        the caller must forget the saga.
        """
        if not self._started(saga):
            return RunEnd.RELEASED
        self._quarantine(saga)
        return self._drive(saga, max_sleep_s, until)

    def _drive(self, saga: Instance, max_sleep_s: float, until: float) -> RunEnd:
        """Do what `run` says, for a saga that has started."""
        while saga.current.runs:
            if self.stopping():
                self.release(saga, 0.0)
                return RunEnd.RELEASED
            if until < inf and time.monotonic() + self._call_s(saga) > until:
                return RunEnd.OUT_OF_TIME
            if self._move_without_call(saga):
                continue
            if saga.current.waits:
                if (left_s := self._end_wait(saga)) > 0:
                    self.release(saga, left_s)
                    return RunEnd.RELEASED
                continue
            if (saga.current.effectful and saga.unsaved) or not self._covered(saga):
                self.commit(saga)
            wait_s = self._advance(saga, *self.calls.make(saga))
            if wait_s > max_sleep_s or (until < inf and time.monotonic() + wait_s > until):
                self.release(saga, wait_s)
                return RunEnd.RELEASED
            if wait_s > 0:
                self.commit(saga, wait_s)
                self.sleep(wait_s)
        self.release(saga, None)
        return RunEnd.RELEASED

    def _started(self, saga: Instance) -> bool:
        """Start the saga if it is pending.

        Release it and return False if its start time has not come, else return True.
        """
        if not saga.pending:
            return True
        if (left_s := saga.entered - saga.clock()) > 0:
            self.release(saga, left_s)
            return False
        saga.start_pending()
        self.commit(saga)  # durable before the first call, so that a cancel knows that a call may have been sent
        return True

    def _quarantine(self, saga: Instance) -> None:
        """Make a saga stuck whose processes have died repeatedly."""
        if saga.claims > self.config.max_claims and saga.current.runs:
            reason = f"claimed {saga.claims} times, and made no move"
            saga.give_up(Trigger.QUARANTINE, actor=self.actor, reason=reason)

    def _move_without_call(self, saga: Instance) -> bool:
        """Use the signal or answer that has arrived, or give up at the deadline. Return True after a move.

        The signal or answer has priority over the deadline, because it was accepted when it arrived. An answer can also
        arrive while its call is in doubt: then the reply to the call was lost.
        """
        at = saga.current
        if at.waits and saga.arrived and self.waits.take_arrival(saga, self.actor):
            return True
        if at.answered_later and saga.in_doubt and self.waits.take_answer(saga, self.actor):
            return True
        if saga.can_expire and self._is_late(saga):
            saga.give_up(Trigger.EXPIRE, actor=self.actor, reason=_too_late(saga))
            return True
        return False

    def _end_wait(self, saga: Instance) -> float:
        """End the wait of a waiting saga. Return the seconds that are left to wait, or 0 when the wait has ended.

        The wait is not longer than the time to the deadline, if the deadline can end it.
        """
        left_s = self.waits.end(saga, self.actor)
        if left_s is None:
            left_s = self._probe(saga)
        if left_s > 0 and saga.can_expire:
            # Before the first commit `saga.deadline` is infinite, so the table's `deadline_s` is the limit.
            left_s = min(left_s, saga.deadline - self.store.clock(), saga.definition.deadline_s)
        return left_s

    def _probe(self, saga: Instance) -> float:
        """Ask the probe of a step whose answer has not come in time. Return the wait before the next probe, or 0."""
        if not self._covered(saga):
            self.commit(saga)
        return self._advance(saga, *self.calls.probe_late(saga))

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

    def request_move(
        self, saga: Instance, trigger: Trigger, actor: str, reason: str, reply: Mapping[str, Any] | None = None
    ) -> None:
        """Make the move that a person requests; the caller commits it. The saga's table must allow the move.

        reply: for a resolve, the reply that the step would have got. Raise IncompleteReplyError when the reply lacks
        fields that later calls need.
        """
        saga.prepare_audit(trigger, actor, reason)
        facts = self._resolved(saga, dict(reply or {})) if trigger is Trigger.RESOLVE else {}
        saga.request_move(trigger, actor=actor, then=self.actor, reason=reason, **facts)

    def _resolved(self, saga: Instance, reply: dict[str, Any]) -> dict[str, Any]:
        at = saga.current
        assert at.step is not None
        if not at.undoes:
            reply, lacking = saga.definition.accepted(at.step.name, reply)
            if lacking:
                raise IncompleteReplyError(sorted(lacking[name] or name for name in lacking))
            saga.results[at.step.name] = reply
        return {"step": at.step.name, "direction": at.direction, "reply": reply}

    def _save(self, saga: Instance, delay_s: float | None, owner: str | None, enough_s: float | None = None) -> None:
        """Commit the unsaved moves, and only then count and log them. The arguments are those of `SagaStore.save`."""
        if saga.committed_snapshot is None:
            moves, before = self._first_commit(saga, delay_s, owner)
        else:
            moves, before = saga.unsaved, saga.committed_snapshot
            self.store.save(saga, delay_s, owner, enough_s)
        if saga.definition.events and any(move.event for move in moves):
            self.on_event()
        if saga.current.phase in REPORTED and self.store.has_webhook(saga):
            self.on_delivery()
        self.telemetry.committed(saga, moves, before)
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

    def _call_s(self, saga: Instance) -> float:
        """Return the longest duration of the next call, in seconds."""
        return self.calls.longest_s(saga)

    def _is_late(self, saga: Instance) -> bool:
        """Return True when the saga's deadline is over."""
        return saga.deadline <= self.store.clock()

    def _advance(self, saga: Instance, reply: Reply, outcome: Outcome) -> float:
        """Make the moves that follow from the outcome of the call. Return the wait before the next call, in seconds."""
        at = saga.current
        assert at.step is not None
        trigger = saga.conclude(
            outcome,
            sent=reply.sent,
            asks_to_wait=reply.asks_to_wait,
            final=reply.final,
            late=self._is_late(saga),
            actor=self.actor,
            reason=reply.reason,
            status_code=reply.status,
            reply=reply.body,
            duration_ms=reply.duration_ms,
        )
        if outcome in (Outcome.REFUSED_UNDO, Outcome.ACCEPTED) and reply.body is not None:
            saga.results[at.step.name] = reply.body  # for the undo; after a takeover `Calls` gets it again
        elif trigger is Trigger.SUCCEEDED and at.phase in (Phase.FORWARD, Phase.WAITING):
            saga.results[at.step.name] = reply.body
        elif trigger is Trigger.DEFER:
            return self._wait(saga, at.deferral, saga.deferrals, reply)
        elif trigger is Trigger.RETRY:
            return self._wait(saga, at.retry, saga.failed_attempts, reply)
        return 0.0

    def _wait(self, saga: Instance, retry: Retry, number: int, reply: Reply) -> float:
        """Return a random wait before the next call, in seconds. number: how many times it failed or was deferred.

        The wait is not shorter than the Retry-After of the reply, and does not last beyond the deadline of the saga.
        """
        left_s, longest_s = 0.0, inf
        if saga.may(Trigger.EXPIRE):  # min: before the first commit the deadline is infinite
            left_s = min(saga.deadline - self.store.clock(), saga.definition.deadline_s)
            # After the deadline only a pivot in doubt is still sent; it waits at most the cap of its retries.
            longest_s = left_s if left_s > 0 else retry.cap_s
        asked_s = min(reply.retry_after_s or 0.0, max(LONGEST_RETRY_AFTER_S, left_s))
        drawn = self.jitter(retry.longest_wait_s(number))
        # Never 0, because `run` commits only before a wait. Without a commit, a crash would lose the count of attempts.
        return max(min(max(drawn, asked_s), longest_s), 0.001)


def _too_late(saga: Instance) -> str:
    """Return the reason for EXPIRE: the deadline is over, and the reason why the last call needed a retry."""
    over = f"its deadline of {saga.definition.deadline_s:g} s is over"
    return f"{over}; last: {saga.waits_for}" if saga.waits_for else over
