"""The answers of participants to steps, and what they get."""

from marshmallow import INCLUDE, Schema, fields

from app.api.schemas.base import Reply, maybe


class AnyReply(Schema):
    """The body that the participant would have sent as its reply to the call."""

    class Meta:
        unknown = INCLUDE


class Taken(Reply):
    """The answer is stored; it is one move of the saga, however often it is sent."""

    saga_id = fields.UUID()
    step = fields.String()
    outcome = maybe(fields.String, metadata={"description": "what the answer means: succeeded, refused, refused_undo"})


class Open(Taken):
    """The answer leaves open whether the step happened, so it changes nothing. Send another one later."""
