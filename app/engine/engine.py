"""The loop that drives a saga along the rows of its table. It knows no saga, only rows.

    commit → send → outcome → move → commit → send → …

A call is sent only when the state that says so is durable; committing the outcome of one call is the intent of the
next, so n effectful steps cost n + 1 commits. A read changes nothing, so it needs no intent of its own and its
outcome rides along with the next commit.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from app.config import Config
from app.metrics import Telemetry
from app.participants.client import Request
from app.participants.outcome import Outcome, Reply, outcome_of
from app.store.instance import Instance
from app.store.sagas import SagaStore
from machines.call import FillError
from machines.rows import Phase, Trigger
from machines.step import Retry

#: Between two tries to reach a participant that cannot be reached at all.
DEFERRED = Retry(base_s=0.5, cap_s=30.0)
#: No participant may ask for a longer wait.
LONGEST_RETRY_AFTER_S = 3600.0


class Sender(Protocol):
    """Anything that sends one request once."""

    def send(self, request: Request) -> Reply: ...


@dataclass(frozen=True, kw_only=True)
class Engine:
    """jitter: draws a wait from 0 to its argument, in seconds. sleep: waits that long."""

    config: Config
    store: SagaStore
    participants: Sender
    telemetry: Telemetry
    actor: str
    jitter: Callable[[float], float]
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def run(self, saga: Instance, hold_until: float, key: str | None = None, fingerprint: str = "") -> None:
        """Drive the saga until it ends, is stuck, or has to wait until after `hold_until` (on the engine's clock).

        key, fingerprint: for a saga that is not stored yet. Raises FencedError or KeyTakenError; the saga is then
        to be forgotten.
        """
        while saga.at.call is not None:
            if saga.at.effectful and saga.unsaved:
                self.commit(saga, self.config.lease_s, key, fingerprint)
            wait_s = self._advance(saga, self._send(saga))
            if wait_s > 0:
                held = self.clock() + wait_s <= hold_until
                self.commit(saga, wait_s + (self.config.lease_s if held else 0), key, fingerprint)
                if not held:
                    return
                self.sleep(wait_s)
        self.commit(saga, None, key, fingerprint)

    def commit(self, saga: Instance, delay_s: float | None, key: str | None = None, fingerprint: str = "") -> None:
        """Make durable what has moved, and only then count and log it."""
        moves = saga.unsaved
        if saga.standing:
            self.store.save(saga, delay_s)
        else:
            self.store.insert(saga, delay_s, key, fingerprint)
        self.telemetry.committed(saga, moves)

    def ask(self, saga: Instance, trigger: Trigger, actor: str, reason: str) -> None:
        """Make a move that a person asks for, which the table must allow. It is to be committed, and run on."""
        facts = {"actor": actor, "reason": reason}
        if trigger is Trigger.CANCEL:
            self._fail(saga, trigger, facts, sure=not saga.unsure)
        else:
            saga.fire(trigger, **facts)

    def _send(self, saga: Instance) -> Reply:
        try:
            request = self._request(saga)
        except FillError as error:
            return Reply(error=str(error), sent=False, impossible=True)
        return self.participants.send(request)

    def _request(self, saga: Instance) -> Request:
        at = saga.at
        assert at.call is not None
        assert at.step is not None
        headers = {
            "Idempotency-Key": f"{saga.id}/{at.step.name}/{at.direction}",
            "Saga-Id": str(saga.id),
            "Saga-Step": at.step.name,
            "Saga-Epoch": str(saga.epoch),
            # The saga is the trace, whichever process carries it on.
            "traceparent": f"00-{saga.id.hex}-{os.urandom(8).hex()}-00",
        }
        return Request(
            method=at.call.method,
            url=self.config.participant_url(at.call.participant) + at.call.filled_path(saga.data, saga.results),
            headers=headers,
            body=at.call.filled_body(saga.data, saga.results) if at.call.method != "GET" else None,
            timeout_s=at.step.timeout_s,
        )

    def _advance(self, saga: Instance, reply: Reply) -> float:
        """Make the move that the reply means. Return how many seconds to wait before the next call."""
        at = saga.at
        assert at.step is not None
        undoing = at.phase is Phase.UNDOING
        outcome = outcome_of(reply, frozenset() if undoing else saga.definition.needed_fields[at.step.name])
        self.telemetry.called(saga, reply, outcome)
        facts = self._facts(saga, reply)
        if outcome is Outcome.SUCCEEDED:
            if not undoing:
                saga.results[at.step.name] = reply.body
            saga.fire(Trigger.SUCCEEDED, **facts)
        elif outcome is Outcome.NOT_SENT:
            saga.fire(Trigger.DEFER, **facts)
            return self._wait(DEFERRED, saga.deferrals, reply)
        elif outcome is Outcome.REFUSED and saga.may(Trigger.REFUSED):
            self._fail(saga, Trigger.REFUSED, facts, sure=not saga.unsure)
        elif saga.attempt + 1 < at.retry.attempts:
            saga.fire(Trigger.RETRY, **facts)
            saga.unsure = True
            return self._wait(at.retry, saga.attempt, reply)
        else:
            self._fail(saga, Trigger.EXHAUSTED, facts, sure=False)
        if saga.may(Trigger.BEGIN):
            saga.fire(Trigger.BEGIN, actor=self.actor)
        return 0.0

    def _fail(self, saga: Instance, trigger: Trigger, facts: dict[str, Any], *, sure: bool) -> None:
        """Move to the failure and on to the first compensation, of the step itself where it may have happened."""
        step = saga.at.step
        saga.fire(trigger, **facts)
        saga.error = f"{saga.state}: {step.name if step else ''}: {facts['reason']}"
        if saga.at.phase is Phase.PASSING:
            including = not sure and saga.may(Trigger.COMPENSATE_INCLUDING)
            saga.fire(Trigger.COMPENSATE_INCLUDING if including else Trigger.COMPENSATE, actor=self.actor)

    def _facts(self, saga: Instance, reply: Reply) -> dict[str, Any]:
        at = saga.at
        assert at.step is not None
        return {
            "actor": self.actor,
            "step": at.step.name,
            "direction": at.direction,
            "attempt": saga.attempt + reply.sent,
            "reason": reply.reason,
            "status_code": reply.status,
            "reply": reply.body,
            "duration_ms": reply.duration_ms,
        }

    def _wait(self, retry: Retry, attempt: int, reply: Reply) -> float:
        drawn = self.jitter(retry.longest_wait_s(attempt))
        # Never 0: a wait of its own commit is what makes the attempt count after a crash.
        return max(drawn, min(reply.retry_after_s, LONGEST_RETRY_AFTER_S), 0.001)
