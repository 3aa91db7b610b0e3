"""Sends the messages to webhooks: at least once, with back-off, from every process.

One thread claims the messages, and up to THREADS threads send them. A webhook that fails gets one message at a time
until an attempt succeeds. So receivers that do not answer cannot occupy all threads.
"""

import random
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Row
from sqlalchemy.exc import SQLAlchemyError

from app.calls.request import Request, Sender
from app.events.webhook_event import event_of, signed_headers
from app.store.deliveries import Deliveries
from app.values import written
from app.webhook_settings.model import Webhook, Webhooks
from machines.lines import one_line
from machines.registry import Registry
from machines.replies import Reply

_log = structlog.get_logger("webhooks")
#: Largest number of messages that one process sends at the same time: to all webhooks, and to one webhook.
THREADS, EACH = 16, 4
#: Longest time between two searches for due messages, in seconds. Another process may have written a message.
IDLE_S = 1.0
#: Seconds between two searches for old messages to unknown webhooks, which become dead letters.
BURY_EVERY_S = 60.0
#: Seconds that a lease lasts longer than the longest attempt, so that the result can be written.
LEASE_MARGIN_S = 5.0
#: Longest wait before the second attempt, in seconds. Each later wait is FACTOR times as long, up to LONGEST_S.
FIRST_S, FACTOR, LONGEST_S = 5.0, 4.0, 21_600.0
_OK, _REDIRECT, _GONE = 200, 300, 410


class WebhookSender:
    """Claims the due messages and sends them.

    wake: set when this process has written a message. stopping: set when the process is to end.
    jitter: returns a random number from 0 to its argument. wall_clock: seconds since 1970.
    """

    def __init__(
        self, webhooks: Webhooks, deliveries: Deliveries, sender: Sender, definitions: Registry,
        registry: CollectorRegistry, *, wake: threading.Event, stopping: threading.Event,
        clock: Callable[[], float] = time.monotonic, wall_clock: Callable[[], float] = time.time,
        jitter: Callable[[float], float] = lambda longest_s: random.uniform(0, longest_s),  # noqa: S311  no secret
    ) -> None:  # fmt: skip
        self._webhooks, self._deliveries, self._sender = webhooks, deliveries, sender
        self._definitions, self._wake, self._stopping = definitions, wake, stopping
        self._clock, self._wall_clock, self._jitter = clock, wall_clock, jitter
        self._in_flight, self._failing, self._lock = Tally[str](), set[str](), threading.Lock()
        self._next_burial = clock()
        help_text = "Attempts to send a message to a webhook: delivered, failed (a further one follows), dead"
        self._sent = Counter("saga_webhook_deliveries", help_text, ["webhook", "outcome"], registry=registry)
        for name in webhooks.by_name:  # create the series at 0, so that a rate includes the first attempt
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
            if buried := self._deliveries.bury_unknown(list(self._webhooks.by_name)):
                _log.error("webhook.unknown", messages=buried, mend="saga webhooks list")
        for name in self._deliveries.due(list(self._webhooks.by_name)):
            lease_s = self._webhooks.by_name[name].timeout_s + LEASE_MARGIN_S
            if free := self._free(name):
                claimed = self._deliveries.claim(name, free, lease_s)
                with self._lock:
                    self._in_flight[name] += len(claimed)
                yield from claimed

    def deliver(self, delivery: Row[Any]) -> None:
        """Make one attempt and write its result. Without a result, the message is sent again after its lease."""
        webhook = self._webhooks.by_name[delivery.webhook]
        try:
            try:
                failure = self._attempt(delivery, webhook)
            except SQLAlchemyError:
                raise
            except Exception as error:  # noqa: BLE001  a defect; the message must not be sent again and again
                _log.exception("webhook.crashed", delivery=delivery.id)
                failure = _Failure(f"an error in this program: {type(error).__name__}")
            self._settle(delivery, webhook, failure)
        except SQLAlchemyError as error:
            _log.warning("database.away", error=str(error).partition("\n")[0])
        finally:
            with self._lock:
                self._in_flight[delivery.webhook] -= 1
            self._wake.set()  # a thread is free

    def _free(self, webhook: str) -> int:
        with self._lock:
            most = 1 if webhook in self._failing else EACH
            return max(min(most - self._in_flight[webhook], THREADS - self._in_flight.total()), 0)

    def _attempt(self, delivery: Row[Any], webhook: Webhook) -> "_Failure | None":
        """Send the message once. Return why it failed; None when the receiver has it, or when its saga was deleted."""
        content, keys = self._deliveries.content(delivery), webhook.keys()
        if content is None:
            return None
        if delivery.attempts > webhook.attempts:
            return _Failure(f"{webhook.attempts} attempts ended without a result", dead=True)
        if not webhook.admits(delivery.url):
            return _Failure(f"{delivery.url} is no address of this webhook any more", dead=True)
        if not keys:
            return _Failure("the file with its secrets has no secret in the form whsec_…")
        event = event_of(delivery, *content, self._definitions)
        request = Request(
            participant=webhook.name,
            method="POST",
            url=delivery.url,
            headers=signed_headers(event["id"], written(event), keys, self._wall_clock()),
            body=event,
            timeout_s=webhook.timeout_s,
        )
        return _failure_in(self._sender.send(request))

    def _settle(self, delivery: Row[Any], webhook: Webhook, failure: "_Failure | None") -> None:
        if failure is None:
            self._failing.discard(webhook.name)
            self._deliveries.delivered(delivery)
            self._sent.labels(webhook.name, "delivered").inc()
            return
        self._failing.add(webhook.name)
        dead = failure.dead or delivery.attempts >= webhook.attempts
        delay_s = None if dead else self._delay_s(delivery.attempts, failure.asked_s)
        self._deliveries.failed(delivery, failure.error, delay_s)
        self._sent.labels(webhook.name, "dead" if dead else "failed").inc()
        about = {"webhook": webhook.name, "saga_id": str(delivery.saga_id), "attempt": delivery.attempts}
        if dead:
            _log.error("webhook.dead", error=failure.error, mend="saga webhooks list", **about)
        else:
            _log.warning("webhook.failed", error=failure.error, **about)

    def _delay_s(self, attempts: int, asked_s: float) -> float:
        """Return the wait in seconds: random, from half of the longest wait to all of it, and at least `asked_s`."""
        longest_s = min(FIRST_S * FACTOR ** (attempts - 1), LONGEST_S)
        return max(longest_s / 2 + self._jitter(longest_s / 2), min(asked_s, LONGEST_S))


@dataclass(frozen=True)
class _Failure:
    """Why an attempt failed."""

    error: str
    #: True when no further attempt is useful.
    dead: bool = False
    #: Seconds to wait, as the receiver requests in the header Retry-After; 0: not requested.
    asked_s: float = 0.0


def _failure_in(reply: Reply) -> _Failure | None:
    if reply.status is None:
        return _Failure(one_line(reply.error))
    if _OK <= reply.status < _REDIRECT:
        return None
    redirected = "; redirects are not followed" if reply.status // 100 == _REDIRECT // 100 else ""
    error = f"the receiver answered {reply.status}{redirected}"
    return _Failure(error, dead=reply.status == _GONE, asked_s=reply.retry_after_s or 0.0)
