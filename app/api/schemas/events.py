"""Replies about events."""

from marshmallow import fields

from app.api.schemas.base import Reply, maybe, moment


class EventData(Reply):
    optional = frozenset({"parent"})

    saga = fields.String()
    version = fields.Integer()
    state = fields.String()
    step = maybe(fields.String)
    reason = maybe(fields.String)
    reply = maybe(fields.Raw, metadata={"description": "an object or an array"})
    started_with = fields.Dict()
    parent = fields.UUID(metadata={"description": "the saga that has started this one; only a child has it"})


class Event(Reply):
    specversion = fields.String()
    id = fields.String()
    source = fields.String()
    type = fields.String()
    subject = fields.UUID()
    time = moment()
    datacontenttype = fields.String()
    data = fields.Nested(EventData)
    published = fields.Boolean()


class EventList(Reply):
    """The events of the saga, the oldest first."""

    events = fields.List(fields.Nested(Event))


class ParkedMessage(Reply):
    id = fields.Integer()
    at = moment()
    reason = fields.String()
    body = fields.String()


class ParkedList(Reply):
    """The dead letters."""

    parked = fields.List(fields.Nested(ParkedMessage))


class Discarded(Reply):
    """The dead letter is deleted; the audit trail keeps its text."""

    message = fields.String()


class ParkedTaken(Reply):
    """The message has started a saga."""

    message = fields.String()
    saga_id = fields.UUID()
