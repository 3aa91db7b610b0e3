"""The client for programs with threads."""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Self, TypeVar, Unpack, overload
from uuid import UUID

from saga_client.protocol import Pause, Protocol, Steps
from saga_client.results import BatchResult, Data, Saga, SagaDetails, SagaFilters, SagaPage, SagaType
from saga_client.schedules import ScheduleProtocol, Schedules
from saga_client.transport import LOST, Answer, Transport
from saga_client.webhooks import WebhookProtocol, Webhooks

T = TypeVar("T")
#: Default of `wait`, in seconds.
WAIT_S = 60.0


class Sagas:
    """Starts sagas of one service, waits for them, and reads them. Any number of threads may use one object.

    url: base URL of the service. key: API key. timeout: seconds that the service may take for an answer, in addition to
    the wait. attempts: largest number of times that a request is sent, while the service cannot be reached or answers
    5xx or 429. tls: the certificates to trust; default: those of the system. sleep, clock, jitter: for tests.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 10.0,
        attempts: int = 5,
        tls: ssl.SSLContext | None = None,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float], float] = lambda longest: random.uniform(0, longest),  # noqa: S311  no secret
    ) -> None:
        self._transport = Transport(url, key, timeout, tls)
        self._protocol = Protocol(attempts, clock, jitter)
        self._sleep = sleep
        #: The schedules of the service.
        self.schedules = Schedules(ScheduleProtocol(self._protocol), self._carry_out)
        #: The messages of the service to webhooks, and the calls of `at_end=`.
        self.webhooks = Webhooks(WebhookProtocol(self._protocol), self._carry_out)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections. The object can still be used."""
        self._transport.close()

    @overload
    def run(
        self, type: SagaType[Data], data: Data, *, key: str | None = ..., wait: float = ..., webhook: str | None = ...
    ) -> Saga: ...
    @overload
    def run(
        self, type: str, data: Mapping[str, Any], *, key: str | None = ..., wait: float = ..., webhook: str | None = ...
    ) -> Saga: ...
    def run(
        self, type: SagaType[Any] | str, data: Mapping[str, Any], *, key: str | None = None, wait: float = WAIT_S,  # noqa: A002
        webhook: str | None = None,
    ) -> Saga:  # fmt: skip
        """Start a saga, wait for its end for at most `wait` seconds, and return the completed saga.

        key: idempotency key. The same key returns the same saga, also in another process, and after a crash of this
        process. Without a key, the client makes one for this call and its repetitions. webhook: where the service
        reports the end of the saga: the name of one of its webhooks, or an address that it allows. Raise Compensated,
        Stuck or StillRunning when the saga does not complete. Raise another error when no saga starts.
        """
        return self._carry_out(self._protocol.run(str(type), data, key, wait, webhook=webhook))

    @overload
    def start(
        self, type: SagaType[Data], data: Data, *, key: str | None = ..., at: datetime | None = ...,
        webhook: str | None = ...,
    ) -> Saga: ...  # fmt: skip
    @overload
    def start(
        self, type: str, data: Mapping[str, Any], *, key: str | None = ..., at: datetime | None = ...,
        webhook: str | None = ...,
    ) -> Saga: ...  # fmt: skip
    def start(
        self, type: SagaType[Any] | str, data: Mapping[str, Any], *, key: str | None = None,  # noqa: A002
        at: datetime | None = None, webhook: str | None = None,
    ) -> Saga:  # fmt: skip
        """Start a saga and return it without a wait. It can have any status: see `Saga.status`.

        key, webhook: see `run`. at: when the saga starts, as a datetime with a time zone; the saga is pending until
        then. None: the saga starts at once.
        """
        return self._carry_out(self._protocol.start(str(type), data, key, at=at, webhook=webhook))

    @overload
    def batch(
        self, type: SagaType[Data], starts: Mapping[str, Data], *, at: datetime | None = ...,
        webhook: str | None = ...,
    ) -> list[BatchResult]: ...  # fmt: skip
    @overload
    def batch(
        self, type: str, starts: Mapping[str, Mapping[str, Any]], *, at: datetime | None = ...,
        webhook: str | None = ...,
    ) -> list[BatchResult]: ...  # fmt: skip
    def batch(
        self, type: SagaType[Any] | str, starts: Mapping[str, Mapping[str, Any]], *,  # noqa: A002
        at: datetime | None = None, webhook: str | None = None,
    ) -> list[BatchResult]:  # fmt: skip
        """Start up to 1,000 sagas in one commit, without a wait. Return a result for each, in order.

        starts: idempotency key → data. The result of a refused start has an error; the other starts are not affected.
        at: when the sagas start. webhook: see `run`.
        """
        return self._carry_out(self._protocol.batch(str(type), starts, at=at, webhook=webhook))

    def get(self, saga: UUID | str | Saga) -> SagaDetails:
        """Return a saga with its data and steps. saga: the saga's id, or the object that `start` returned."""
        return self._carry_out(self._protocol.get(id_of(saga)))

    def list(self, *, limit: int = 50, after: str | None = None, **filters: Unpack[SagaFilters]) -> SagaPage:
        """Return the sagas that match all filters, the newest first, up to `limit` (at most 200).

        filters: see `SagaFilters`. after: `next` of the page before. Raise InvalidData for a filter that does not fit.
        """
        return self._carry_out(self._protocol.page(filters, limit, after))

    def wait_for_end(self, saga: UUID | str | Saga, *, wait: float = WAIT_S) -> SagaDetails:
        """Return the completed saga. Raise Compensated, Stuck, or StillRunning after `wait` seconds."""
        return self._carry_out(self._protocol.wait_for_end(id_of(saga), wait))

    def _carry_out(self, steps: Steps[T]) -> T:
        outcome: Answer | Exception | None = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                found: T = end.value
                return found
            if isinstance(step, Pause):
                outcome = None
                self._sleep(step.seconds)
            else:
                try:
                    outcome = self._transport.send(step)
                except LOST as error:
                    outcome = error


def id_of(saga: UUID | str | Saga) -> UUID | str:
    return saga.id if isinstance(saga, Saga) else saga
