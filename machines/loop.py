"""The loop that drives a saga along the transitions of its table. It is the same loop for every table.

    commit → send → outcome → move → commit → send → …

A call with an effect is sent only after its intent is durable. The intent is the commit of the state that names the
call. The commit of one call's outcome is also the intent of the next call, so n steps with an effect cost n + 1
commits. A read changes nothing, so it needs no intent, and its outcome is stored with the next commit.

`app.engine.engine` runs the loop over a database; `machines.testing` runs it in memory.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from math import inf
from typing import Any, Generic, TypeVar

from machines.attempts import Attempts
from machines.by_hand import accepted_by_hand
from machines.outcomes import DEFINITE, Outcome
from machines.replies import Reply
from machines.retry import Retry
from machines.running import RunningSaga
from machines.transitions import Trigger
from machines.waits import Waits, before_poll

#: How long after the saga has entered its state a Retry-After is obeyed, in seconds, when no deadline ends the wait, as
#: at an undo. Otherwise each of ten attempts could make the customer wait for hours.
LONGEST_RETRY_AFTER_S = 3600.0
#: A parent looks at its child again after this time, in seconds. The end of a child wakes its parent at once, except
#: when a process of a release without child sagas has run the child.
CHILD_LOOK_S = 900.0


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


_S = TypeVar("_S", bound=RunningSaga)


class Loop(ABC, Generic[_S]):
    """The loop. A subclass says how a saga is stored, how long it is held, and how a call is sent."""

    #: Sends the calls to participants.
    calls: Attempts
    #: Ends the waits of sagas.
    waits: Waits[Any]
    #: Actor in the journal of the moves that the engine makes.
    actor: str
    #: Returns a random wait from 0 to its argument, in seconds.
    jitter: Callable[[float], float]
    #: Waits for its argument, in seconds.
    sleep: Callable[[float], object]
    #: Returns True when this process is to end, so that sagas are released and no further call is sent.
    stopping: Callable[[], bool]

    @property
    @abstractmethod
    def max_claims(self) -> int:
        """Most claims of a saga without a move; after that, the saga is stuck."""

    @abstractmethod
    def now(self) -> float:
        """Return the time of the store's clock, in seconds."""

    @abstractmethod
    def commit(self, saga: _S, wait_s: float = 0.0) -> None:
        """Commit and keep the saga. wait_s: how long the saga waits before its next call, in seconds."""

    @abstractmethod
    def release(self, saga: _S, after_s: float | None) -> None:
        """Commit and release the saga. after_s: seconds until it is due again; None: it needs no process."""

    @abstractmethod
    def _covered(self, saga: _S) -> bool:
        """Return True when no other process can claim the saga during the next call."""

    def run(self, saga: _S, max_sleep_s: float, until: float = inf) -> RunEnd:
        """Drive the saga until it ends, is stuck, or must wait longer than `max_sleep_s` seconds. Then release it.

        until: end of the run, on the clock of time.monotonic. Release the saga when a wait would last beyond it. Return
        OUT_OF_TIME, without a release, when the next call might last beyond it. After a FencedError or KeyTakenError
        the caller must forget the saga.
        """
        if not self._started(saga):
            return RunEnd.RELEASED
        self._quarantine(saga)
        while saga.current.runs:
            if end := self._turn(saga, max_sleep_s, until):
                return end
        self.release(saga, None)
        return RunEnd.RELEASED

    def _turn(self, saga: _S, max_sleep_s: float, until: float) -> RunEnd | None:
        """Make one move or one call of a saga that has started. Return why the run has ended; None: it goes on."""
        if self.stopping():
            self.release(saga, 0.0)
            return RunEnd.RELEASED
        if until < inf and time.monotonic() + self._call_s(saga) > until:
            return RunEnd.OUT_OF_TIME
        if self._move_without_call(saga):
            return None
        if saga.current.waits:
            return self._stay(saga)
        if (saga.current.effectful and saga.unsaved) or not self._covered(saga):
            self.commit(saga)
        wait_s = self._advance(saga, *self.calls.make(saga))
        waits = wait_s > 0 and saga.current.waits is not None  # no thread sleeps until the first poll
        if waits or wait_s > max_sleep_s or (until < inf and time.monotonic() + wait_s > until):
            self.release(saga, wait_s)
            return RunEnd.RELEASED
        if wait_s > 0:
            self.commit(saga, wait_s)
            self.sleep(wait_s)
        return None

    def request_move(
        self, saga: _S, trigger: Trigger, actor: str, reason: str, reply: Mapping[str, Any] | None = None
    ) -> None:
        """Make the move that a person requests; the caller commits it. The saga's table must allow the move.

        reply: for a resolve, the reply that the step would have got. Raise IncompleteReplyError when the reply lacks
        fields that later calls need.
        """
        facts = _resolved(saga, dict(reply or {})) if trigger is Trigger.RESOLVE else {}
        saga.request_move(trigger, actor=actor, then=self.actor, reason=reason, **facts)

    def _started(self, saga: _S) -> bool:
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

    def _quarantine(self, saga: _S) -> None:
        """Make a saga stuck whose processes have died repeatedly."""
        if saga.claims > self.max_claims and saga.current.runs:
            reason = f"claimed {saga.claims} times, and made no move"
            saga.give_up(Trigger.QUARANTINE, actor=self.actor, reason=reason)

    def _move_without_call(self, saga: _S) -> bool:
        """Use the signal or answer that has arrived, or give up at the deadline. Return True after a move.

        The signal or answer has priority over the deadline, because it was accepted when it arrived. An answer can also
        arrive while its call is in doubt: then the reply to the call was lost.
        """
        at = saga.current
        if at.waits and saga.arrived and self.take_arrival(saga):
            return True
        if at.called_back and saga.in_doubt and self.waits.take_answer(saga, self.actor):
            return True
        if saga.can_expire and self._is_late(saga):
            saga.give_up(Trigger.EXPIRE, actor=self.actor, reason=_too_late(saga))
            return True
        return False

    def _stay(self, saga: _S) -> RunEnd | None:
        """End the wait of a waiting saga, or release the saga until then."""
        if (left_s := self._end_wait(saga)) > 0:
            self.release(saga, left_s if left_s < inf else None)
            return RunEnd.RELEASED
        return None

    def take_arrival(self, saga: _S) -> bool:
        """End the wait with what has arrived. Return False for nothing."""
        return self.waits.take_arrival(saga, self.actor)

    def _end_wait_for_child(self, saga: _S) -> bool:
        """End the wait for a child that has ended or cannot be started. Return False while the saga must wait."""
        raise NotImplementedError(f"{saga.definition} starts another saga, and this loop runs one saga alone")

    def _end_wait(self, saga: _S) -> float:
        """End the wait of a waiting saga. Return the seconds that are left to wait, or 0 when the wait has ended."""
        if saga.current.poll:
            return self._poll(saga)
        if saga.current.awaits_child:
            return self._until_deadline(saga, 0.0 if self._end_wait_for_child(saga) else CHILD_LOOK_S)
        left_s = self.waits.end(saga, self.actor)
        return self._until_deadline(saga, self._probe(saga) if left_s is None else left_s)

    def _poll(self, saga: _S) -> float:
        """Ask for the answer that the saga waits for. Return the seconds until the next poll, or 0 after the wait.

        A poll without an answer is counted, and is no move.
        """
        if not self._covered(saga):
            self.commit(saga)
        reply, outcome = self.calls.poll(saga)
        if outcome in DEFINITE:
            return self._advance(saga, reply, outcome)
        saga.asked()
        left_s = self.waits.end(saga, self.actor, reply.reason)
        if left_s is None:
            left_s = self._probe(saga)
        elif left_s > 0:
            left_s = self._before_poll(saga, reply)
        return self._until_deadline(saga, left_s)

    def _before_poll(self, saga: _S, reply: Reply) -> float:
        return before_poll(saga, min(reply.retry_after_s or 0.0, LONGEST_RETRY_AFTER_S), self.jitter)

    def _until_deadline(self, saga: _S, left_s: float) -> float:
        """Return the wait, but not longer than the time to the deadline, if the deadline can end the wait."""
        if left_s > 0 and saga.can_expire:
            # Before the first commit `saga.deadline` is infinite, so the table's `deadline_s` is the limit.
            left_s = min(left_s, saga.deadline - self.now(), saga.definition.deadline_s)
        return left_s

    def _probe(self, saga: _S) -> float:
        """Ask the probe of a step whose answer has not come in time. Return the wait before the next probe, or 0."""
        if not self._covered(saga):
            self.commit(saga)
        return self._advance(saga, *self.calls.probe_late(saga))

    def _call_s(self, saga: _S) -> float:
        """Return the longest duration of the next call, in seconds."""
        return self.calls.longest_s(saga)

    def _is_late(self, saga: _S) -> bool:
        """Return True when the saga's deadline is over."""
        return saga.deadline <= self.now()

    def _advance(self, saga: _S, reply: Reply, outcome: Outcome) -> float:
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
            return self._until_deadline(saga, self._before_poll(saga, reply)) if saga.current.poll else 0.0
        if trigger is Trigger.DEFER:
            return self._wait(saga, at.deferral, saga.deferrals, reply)
        if trigger is Trigger.RETRY:
            return self._wait(saga, at.retry, saga.failed_attempts, reply)
        return 0.0

    def _wait(self, saga: _S, retry: Retry, number: int, reply: Reply) -> float:
        """Return a random wait before the next call, in seconds. number: how many times it failed or was deferred.

        The wait is not shorter than the Retry-After of the reply, and does not last beyond the deadline of the saga.
        Without a deadline, all these waits together are bounded, see LONGEST_RETRY_AFTER_S.
        """
        longest_s, obeyed_s = inf, saga.entered + LONGEST_RETRY_AFTER_S - saga.clock()
        if saga.may(Trigger.EXPIRE):  # min: before the first commit the deadline is infinite
            left_s = min(saga.deadline - self.now(), saga.definition.deadline_s)
            # After the deadline only a pivot in doubt is still sent; it waits at most the cap of its retries.
            longest_s = obeyed_s = left_s if left_s > 0 else retry.cap_s
        asked_s = reply.retry_after_s or 0.0
        if reply.sent:  # otherwise this process itself asks to wait, as an open circuit breaker does
            asked_s = min(asked_s, obeyed_s)
        if asked_s + reply.turn_s < longest_s:
            asked_s += reply.turn_s
        drawn = self.jitter(retry.longest_wait_s(number))
        # Never 0, because `run` commits only before a wait. Without a commit, a crash would lose the count of attempts.
        return max(min(max(drawn, asked_s), longest_s), 0.001)


def _too_late(saga: RunningSaga) -> str:
    """Return the reason for EXPIRE: the deadline is over, and the reason why the last call needed a retry."""
    over = f"its deadline of {saga.definition.deadline_s:g} s is over"
    return f"{over}; last: {saga.waits_for}" if saga.waits_for else over


def _resolved(saga: RunningSaga, reply: dict[str, Any]) -> dict[str, Any]:
    at = saga.current
    assert at.step is not None
    if not at.undoes:
        reply, lacking = accepted_by_hand(saga.definition, at.step, reply, saga.data, saga.results)
        if lacking:
            raise IncompleteReplyError(sorted(lacking[name] or name for name in lacking))
    return {"step": at.step.name, "direction": at.direction, "reply": reply}
