"""Replies about messages to webhooks, and about the calls of `at_end=`."""

from marshmallow import fields

from app.api.schemas.base import Reply, maybe, moment, one_of
from app.webhook_settings.reading import EVENTS


class Delivery(Reply):
    id = fields.Integer()
    webhook = fields.String(metadata={"description": "name of the webhook, or at_end: and the participant"})
    url = fields.String(metadata={"description": "address of the webhook, or the call of at_end="})
    saga_id = fields.UUID()
    event = one_of(EVENTS)
    status = one_of(("pending", "delivered", "dead"))
    at = moment()
    attempts = fields.Integer()
    error = maybe(fields.String, metadata={"description": "why the last attempt failed"})


class DeliveryList(Reply):
    """The messages, the oldest first."""

    messages = fields.List(fields.Nested(Delivery))


class DeliveryDue(Reply):
    """The message is sent again by the next process of the service that looks."""

    message = fields.String()
    id = fields.Integer()
    webhook = fields.String()


class DeliveryDiscarded(Reply):
    """The message is deleted; the audit trail keeps what it was about."""

    message = fields.String()
