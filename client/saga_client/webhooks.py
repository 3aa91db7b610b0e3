"""Messages of the service about sagas: to webhooks, and the calls of `at_end=` in tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import quote
from uuid import UUID

from saga_client.protocol import CarriesOut, CarriesOutLater, Protocol, Steps, error, json_object, post_request, read
from saga_client.results import Saga
from saga_client.transport import Answer, Request

PATH = "/api/v1/webhooks"


class MessageStatus(StrEnum):
    """The status of a message."""

    #: The message is still to be sent, or is sent again after a failure.
    PENDING = "pending"
    DELIVERED = "delivered"
    #: No attempt was successful. The message is kept until a person sends it again or discards it (dead letter).
    DEAD = "dead"


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message at the moment of the answer."""

    id: int
    #: Name of the webhook that receives the message; `at_end:` and the participant for a call of `at_end=`.
    webhook: str
    #: Address of the webhook, or the call of `at_end=`.
    url: str
    saga_id: UUID
    #: What the message says about the saga.
    event: Literal["completed", "compensated", "stuck"]
    status: MessageStatus
    #: When the saga made the move that the message is about.
    at: datetime
    attempts: int
    #: Why the last attempt failed; None: it did not fail, or there was none.
    error: str | None


class WebhookProtocol:
    """The operations on messages, as generators like those of `Protocol`.

    A change whose answer is lost is sent again, and is then refused because it is made already. Then it succeeds.
    """

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def dead(self) -> Steps[tuple[Message, ...]]:
        return self._messages(f"{PATH}/dead")

    def of_saga(self, saga: UUID | str | Saga) -> Steps[tuple[Message, ...]]:
        saga_id = str(saga.id if isinstance(saga, Saga) else saga)
        return self._messages(f"/api/v1/sagas/{quote(saga_id, safe='')}/webhooks")

    def redeliver(self, message: int | Message, reason: str) -> Steps[None]:
        answer = yield from self._act(message, "redeliver", reason)
        made = answer.status == HTTPStatus.CONFLICT and answer.attempts > 1  # the message is to be sent
        if answer.status != HTTPStatus.OK and not made:
            raise error(answer, json_object(answer))

    def discard(self, message: int | Message, reason: str) -> Steps[None]:
        answer = yield from self._act(message, "discard", reason)
        gone = answer.status == HTTPStatus.NOT_FOUND and answer.attempts > 1
        if answer.status != HTTPStatus.OK and not gone:
            raise error(answer, json_object(answer))

    def _act(self, message: int | Message, action: str, reason: str) -> Steps[Answer]:
        number = message.id if isinstance(message, Message) else message
        return self._protocol.send(post_request(f"{PATH}/{number:d}/{action}", {"reason": reason}, 0))

    def _messages(self, path: str) -> Steps[tuple[Message, ...]]:
        answer = yield from self._protocol.send(Request(method="GET", path=path))
        body = json_object(answer)
        if answer.status != HTTPStatus.OK:
            raise error(answer, body)
        return read(_messages, body)


class Webhooks:
    """The messages of a service about its sagas: `Sagas.webhooks`. Changes need an API key with the scope `operate`."""

    def __init__(self, protocol: WebhookProtocol, carry_out: CarriesOut) -> None:
        self._protocol, self._carry_out = protocol, carry_out

    def dead(self) -> tuple[Message, ...]:
        """Return the dead letters, the oldest first; at most the 200 oldest."""
        return self._carry_out(self._protocol.dead())

    def of_saga(self, saga: UUID | str | Saga) -> tuple[Message, ...]:
        """Return all messages about a saga, the oldest first. Raise NotFound."""
        return self._carry_out(self._protocol.of_saga(saga))

    def redeliver(self, message: int | Message, *, reason: str) -> None:
        """Send a dead or a delivered message again, with the same id and all of its attempts.

        reason: it is recorded in the audit trail. Raise NotFound, or Conflict when the message is still to be sent.
        """
        return self._carry_out(self._protocol.redeliver(message, reason))

    def discard(self, message: int | Message, *, reason: str) -> None:
        """Delete a dead letter. Raise NotFound, or Conflict when the message is no dead letter."""
        return self._carry_out(self._protocol.discard(message, reason))


class AsyncWebhooks:
    """`Webhooks` with the same methods as coroutines: `AsyncSagas.webhooks`."""

    def __init__(self, protocol: WebhookProtocol, carry_out: CarriesOutLater) -> None:
        self._protocol, self._carry_out = protocol, carry_out

    async def dead(self) -> tuple[Message, ...]:
        """Return the dead letters: see `Webhooks.dead`."""
        return await self._carry_out(self._protocol.dead())

    async def of_saga(self, saga: UUID | str | Saga) -> tuple[Message, ...]:
        """Return all messages about a saga: see `Webhooks.of_saga`."""
        return await self._carry_out(self._protocol.of_saga(saga))

    async def redeliver(self, message: int | Message, *, reason: str) -> None:
        """Send a message again: see `Webhooks.redeliver`."""
        return await self._carry_out(self._protocol.redeliver(message, reason))

    async def discard(self, message: int | Message, *, reason: str) -> None:
        """Delete a dead letter: see `Webhooks.discard`."""
        return await self._carry_out(self._protocol.discard(message, reason))


def _messages(body: Mapping[str, Any]) -> tuple[Message, ...]:
    return tuple(_message(each) for each in body["messages"])


def _message(body: Mapping[str, Any]) -> Message:
    return Message(
        id=body["id"],
        webhook=body["webhook"],
        url=body["url"],
        saga_id=UUID(body["saga_id"]),
        event=body["event"],
        status=MessageStatus(body["status"]),
        at=datetime.fromisoformat(body["at"]),
        attempts=body["attempts"],
        error=body["error"],
    )
