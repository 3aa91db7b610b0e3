"""The webhooks as receivers of messages: each message is a signed CloudEvent about the end of a saga."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from app.calls.request import Request, Sender
from app.events.deliverer import Failure
from app.events.webhook_event import event_of, signed_headers
from app.values import written
from app.webhook_settings.model import Webhook, Webhooks
from machines.lines import one_line
from machines.registry import Registry
from machines.replies import Reply

_OK, _REDIRECT, _GONE = 200, 300, 410


@dataclass(frozen=True, kw_only=True)
class WebhookReceiver:
    """A webhook. wall_clock: seconds since 1970."""

    webhook: Webhook
    sender: Sender
    definitions: Registry
    wall_clock: Callable[[], float] = time.time

    @property
    def name(self) -> str:
        return self.webhook.name

    @property
    def attempts(self) -> int:
        return self.webhook.attempts

    @property
    def timeout_s(self) -> float:
        return self.webhook.timeout_s

    def attempt(self, delivery: Row[Any], move: Row[Any], journal: Sequence[Row[Any]]) -> Failure | None:
        """Send the message once, see `Receiver`."""
        keys = self.webhook.keys()
        if not self.webhook.admits(delivery.url):
            return Failure(f"{delivery.url} is no address of this webhook any more", dead=True)
        if not keys:
            return Failure("the file with its secrets has no secret in the form whsec_…")
        event = event_of(delivery, move, journal, self.definitions)
        request = Request(
            participant=self.name,
            method="POST",
            url=delivery.url,
            headers=signed_headers(event["id"], written(event), keys, self.wall_clock()),
            body=event,
            timeout_s=self.timeout_s,
        )
        return _failure_in(self.sender.send(request))


def webhook_receivers(
    webhooks: Webhooks, sender: Sender, definitions: Registry, wall_clock: Callable[[], float] = time.time
) -> Iterator[WebhookReceiver]:
    for webhook in webhooks.by_name.values():
        yield WebhookReceiver(webhook=webhook, sender=sender, definitions=definitions, wall_clock=wall_clock)


def _failure_in(reply: Reply) -> Failure | None:
    if reply.status is None:
        return Failure(one_line(reply.error))
    if _OK <= reply.status < _REDIRECT:
        return None
    redirected = "; redirects are not followed" if reply.status // 100 == _REDIRECT // 100 else ""
    error = f"the receiver answered {reply.status}{redirected}"
    return Failure(error, dead=reply.status == _GONE, asked_s=reply.retry_after_s or 0.0)
