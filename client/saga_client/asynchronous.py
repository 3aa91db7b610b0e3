"""The client for programs with asyncio.

asyncio has no HTTP client, so each request is sent in a thread of the client's own pool. A pause occupies no thread, so
the size of the pool only limits the requests that are open at once. A cancelled task does not stop its request. This
does no harm, because a repeated request with the same key finds the same saga.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Self, TypeVar, Unpack, overload
from uuid import UUID

from saga_client.client import WAIT_S, id_of
from saga_client.protocol import Pause, Protocol, Steps
from saga_client.results import BatchResult, Data, Saga, SagaDetails, SagaFilters, SagaPage, SagaType
from saga_client.schedules import AsyncSchedules, ScheduleProtocol
from saga_client.transport import LOST, Answer, Request, Transport
from saga_client.webhooks import AsyncWebhooks, WebhookProtocol

T = TypeVar("T")


class AsyncSagas:
    """`Sagas` with the same methods as coroutines, for asyncio. connections: largest number of open requests."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 10.0,
        attempts: int = 5,
        connections: int = 64,
        tls: ssl.SSLContext | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float], float] = lambda longest: random.uniform(0, longest),  # noqa: S311  no secret
    ) -> None:
        self._transport = Transport(url, key, timeout, tls)
        self._protocol = Protocol(attempts, clock, jitter)
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="saga-client")
        self._sleep = sleep
        #: The schedules of the service.
        self.schedules = AsyncSchedules(ScheduleProtocol(self._protocol), self._carry_out)
        #: The messages of the service to webhooks, and the calls of `at_end=`.
        self.webhooks = AsyncWebhooks(WebhookProtocol(self._protocol), self._carry_out)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the threads and close the connections. The object cannot be used afterwards."""
        await asyncio.to_thread(self._threads.shutdown)
        self._transport.close()

    @overload
    async def run(
        self, type: SagaType[Data], data: Data, *, key: str | None = ..., wait: float = ..., webhook: str | None = ...
    ) -> Saga: ...
    @overload
    async def run(
        self, type: str, data: Mapping[str, Any], *, key: str | None = ..., wait: float = ..., webhook: str | None = ...
    ) -> Saga: ...
    async def run(
        self, type: SagaType[Any] | str, data: Mapping[str, Any], *, key: str | None = None, wait: float = WAIT_S,  # noqa: A002
        webhook: str | None = None,
    ) -> Saga:  # fmt: skip
        """Start a saga and wait for its end: see `Sagas.run`."""
        return await self._carry_out(self._protocol.run(str(type), data, key, wait, webhook=webhook))

    @overload
    async def start(
        self, type: SagaType[Data], data: Data, *, key: str | None = ..., at: datetime | None = ...,
        webhook: str | None = ...,
    ) -> Saga: ...  # fmt: skip
    @overload
    async def start(
        self, type: str, data: Mapping[str, Any], *, key: str | None = ..., at: datetime | None = ...,
        webhook: str | None = ...,
    ) -> Saga: ...  # fmt: skip
    async def start(
        self, type: SagaType[Any] | str, data: Mapping[str, Any], *, key: str | None = None,  # noqa: A002
        at: datetime | None = None, webhook: str | None = None,
    ) -> Saga:  # fmt: skip
        """Start a saga and return it without a wait: see `Sagas.start`."""
        return await self._carry_out(self._protocol.start(str(type), data, key, at=at, webhook=webhook))

    @overload
    async def batch(
        self, type: SagaType[Data], starts: Mapping[str, Data], *, at: datetime | None = ...,
        webhook: str | None = ...,
    ) -> list[BatchResult]: ...  # fmt: skip
    @overload
    async def batch(
        self, type: str, starts: Mapping[str, Mapping[str, Any]], *, at: datetime | None = ...,
        webhook: str | None = ...,
    ) -> list[BatchResult]: ...  # fmt: skip
    async def batch(
        self, type: SagaType[Any] | str, starts: Mapping[str, Mapping[str, Any]], *,  # noqa: A002
        at: datetime | None = None, webhook: str | None = None,
    ) -> list[BatchResult]:  # fmt: skip
        """Start up to 1,000 sagas in one commit: see `Sagas.batch`."""
        return await self._carry_out(self._protocol.batch(str(type), starts, at=at, webhook=webhook))

    async def get(self, saga: UUID | str | Saga) -> SagaDetails:
        """Return a saga with its data and steps: see `Sagas.get`."""
        return await self._carry_out(self._protocol.get(id_of(saga)))

    async def list(self, *, limit: int = 50, after: str | None = None, **filters: Unpack[SagaFilters]) -> SagaPage:
        """Return the sagas that match all filters: see `Sagas.list`."""
        return await self._carry_out(self._protocol.page(filters, limit, after))

    async def wait_for_end(self, saga: UUID | str | Saga, *, wait: float = WAIT_S) -> SagaDetails:
        """Return the completed saga: see `Sagas.wait_for_end`."""
        return await self._carry_out(self._protocol.wait_for_end(id_of(saga), wait))

    async def _carry_out(self, steps: Steps[T]) -> T:
        outcome: Answer | Exception | None = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                found: T = end.value
                return found
            if isinstance(step, Pause):
                outcome = None
                await self._sleep(step.seconds)
            else:
                outcome = await asyncio.get_running_loop().run_in_executor(self._threads, self._sent, step)

    def _sent(self, request: Request) -> Answer | Exception:
        try:
            return self._transport.send(request)
        except LOST as error:
            return error
