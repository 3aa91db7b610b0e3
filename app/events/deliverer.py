"""Sends the messages about the ends of sagas: at least once, with back-off, from every process.

The receivers are webhooks, and the participants of `at_end=` calls. One thread claims the messages, and up to THREADS
threads send them. A receiver that fails gets one message at a time until an attempt succeeds. So receivers that do not
answer cannot occupy all threads.
"""

import random
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Row
from sqlalchemy.exc import SQLAlchemyError

from app.store.deliveries import Deliveries

_log = structlog.get_logger("webhooks")
#: Largest number of messages that one process sends at the same time: to all receivers, and to one receiver.
THREADS, EACH = 16, 4
#: Longest time between two searches for due messages, in seconds. Another process may have written a message.
IDLE_S = 1.0
#: Seconds between two searches for old messages to unknown receivers, which become dead letters.
BURY_EVERY_S = 60.0
#: Seconds that a lease lasts longer than the longest attempt, so that the result can be written.
LEASE_MARGIN_S = 5.0
#: Longest wait before the second attempt, in seconds. Each later wait is FACTOR times as long, up to LONGEST_S.
FIRST_S, FACTOR, LONGEST_S = 5.0, 4.0, 21_600.0


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed."""

    error: str
    #: True when no further attempt is useful.
    dead: bool = False
    #: Seconds to wait, as the receiver requests in the header Retry-After; 0: not requested.
    asked_s: float = 0.0
    #: False when this process has sent nothing, because a limit is reached. The attempt does not count.
    counts: bool = True


class Receiver(Protocol):
    """A receiver of messages."""

    #: Name, as the messages have it.
    @property
    def name(self) -> str: ...
    #: Number of attempts, after which a message is a dead letter.
    @property
    def attempts(self) -> int: ...
    #: Longest duration of one attempt, in seconds.
    @property
    def timeout_s(self) -> float: ...

    def attempt(self, delivery: Row[Any], move: Row[Any], journal: Sequence[Row[Any]]) -> Failure | None:
        """Send a message once. Return why the attempt failed; None when the receiver has the message.

        move, journal: see `Deliveries.content`.
        """


class Deliverer:
    """Claims the due messages and sends them.

    wake: set when this process has written a message. stopping: set when the process is to end.
    jitter: returns a random number from 0 to its argument.
    """

    def __init__(
        self, receivers: Iterable[Receiver], deliveries: Deliveries, registry: CollectorRegistry, *,
        wake: threading.Event, stopping: threading.Event, clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float], float] = lambda longest_s: random.uniform(0, longest_s),  # noqa: S311  no secret
    ) -> None:  # fmt: skip
        self.receivers = {receiver.name: receiver for receiver in receivers}
        self._deliveries, self._wake, self._stopping = deliveries, wake, stopping
        self._clock, self._jitter = clock, jitter
        self._in_flight, self._failing, self._lock = Tally[str](), set[str](), threading.Lock()
        self._next_burial = clock()
        help_text = "Attempts to send a webhook message or an at_end call: delivered, failed (sent again), dead"
        self._sent = Counter("saga_webhook_deliveries", help_text, ["webhook", "outcome"], registry=registry)
        for name in self.receivers:  # create the series at 0, so that a rate includes the first attempt
            for outcome in ("delivered", "failed", "dead"):
                self._sent.labels(name, outcome)

    def run(self, progressed: Callable[[], None] = lambda: None) -> None:
        """Send messages until the process is to end. progressed: called after each search for messages."""
        with ThreadPoolExecutor(THREADS, thread_name_prefix="webhook") as pool:
            while not self._stopping.is_set():
                self._wake.wait(IDLE_S)
                self._wake.clear()
                try:
                    for delivery in self.claimed():
                        pool.submit(self.deliver, delivery)
                except SQLAlchemyError as error:
                    _log.warning("database.away", error=str(error).partition("\n")[0])
                progressed()

    def claimed(self) -> Iterator[Row[Any]]:
        """Yield the due messages, as many as there are free threads. The caller calls `deliver` for each."""
        if self._clock() >= self._next_burial:
            self._next_burial = self._clock() + BURY_EVERY_S
            if buried := self._deliveries.bury_unknown(list(self.receivers)):
                _log.error("webhook.unknown", messages=buried, mend="saga webhooks list")
        for name in self._deliveries.due(list(self.receivers)):
            lease_s = self.receivers[name].timeout_s + LEASE_MARGIN_S
            if free := self._free(name):
                claimed = self._deliveries.claim(name, free, lease_s)
                with self._lock:
                    self._in_flight[name] += len(claimed)
                yield from claimed

    def deliver(self, delivery: Row[Any]) -> None:
        """Make one attempt and write its result. Without a result, the message is sent again after its lease."""
        receiver = self.receivers[delivery.webhook]
        try:
            try:
                failure = self._attempt(delivery, receiver)
            except SQLAlchemyError:
                raise
            except Exception as error:  # noqa: BLE001  a defect; the message must not be sent again and again
                _log.exception("webhook.crashed", delivery=delivery.id)
                failure = Failure(f"an error in this program: {type(error).__name__}")
            self._settle(delivery, receiver, failure)
        except SQLAlchemyError as error:
            _log.warning("database.away", error=str(error).partition("\n")[0])
        finally:
            with self._lock:
                self._in_flight[delivery.webhook] -= 1
            self._wake.set()  # a thread is free

    def _free(self, receiver: str) -> int:
        with self._lock:
            most = 1 if receiver in self._failing else EACH
            return max(min(most - self._in_flight[receiver], THREADS - self._in_flight.total()), 0)

    def _attempt(self, delivery: Row[Any], receiver: Receiver) -> Failure | None:
        """Send the message once. Return why it failed; None when the receiver has it, or when its saga was deleted."""
        content = self._deliveries.content(delivery)
        if content is None:
            return None
        if delivery.attempts > receiver.attempts:
            return Failure(f"{receiver.attempts} attempts ended without a result", dead=True)
        return receiver.attempt(delivery, *content)

    def _settle(self, delivery: Row[Any], receiver: Receiver, failure: Failure | None) -> None:
        if failure is None:
            self._failing.discard(receiver.name)
            self._deliveries.delivered(delivery)
            self._sent.labels(receiver.name, "delivered").inc()
            return
        self._failing.add(receiver.name)
        dead = failure.dead or (failure.counts and delivery.attempts >= receiver.attempts)
        delay_s = None if dead else self._delay_s(delivery.attempts if failure.counts else 1, failure.asked_s)
        self._deliveries.failed(delivery, failure.error, delay_s, counts=failure.counts)
        self._sent.labels(receiver.name, "dead" if dead else "failed").inc()
        about = {"webhook": receiver.name, "saga_id": str(delivery.saga_id), "attempt": delivery.attempts}
        if dead:
            _log.error("webhook.dead", error=failure.error, mend="saga webhooks list", **about)
        else:
            _log.warning("webhook.failed", error=failure.error, **about)

    def _delay_s(self, attempts: int, asked_s: float) -> float:
        """Return the wait in seconds: random, from half of the longest wait to all of it, and at least `asked_s`."""
        longest_s = min(FIRST_S * FACTOR ** (attempts - 1), LONGEST_S)
        return max(longest_s / 2 + self._jitter(longest_s / 2), min(asked_s, LONGEST_S))
