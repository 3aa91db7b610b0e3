"""Schemas of the answers that participants send to steps, and of the replies to these answers."""

from marshmallow import INCLUDE, Schema, fields

from app.api.schemas.base import Reply, maybe


class AnyReply(Schema):
    """The body that the participant would have sent as its reply to the call."""

    class Meta:
        unknown = INCLUDE


class Taken(Reply):
    """The answer is stored. It makes one move of the saga, also when it is sent several times."""

    saga_id = fields.UUID()
    step = fields.String()
    outcome = maybe(fields.String, metadata={"description": "what the answer means: succeeded, refused, refused_undo"})


class Open(Taken):
    """The answer does not say whether the step took effect, so it changes nothing. Send another answer later."""
