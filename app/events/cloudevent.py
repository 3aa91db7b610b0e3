"""CloudEvents 1.0 as JSON: the event of a move, and the parsing of incoming events."""

from collections.abc import Callable, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

from marshmallow import INCLUDE, Schema, fields, validate
from sqlalchemy import Row

from app.errors import MalformedError
from app.values import LARGEST_CONTENT
from app.views.validation import load, parsed_object, storable
from machines.secrets import SecretFields

#: Replies for a saga without secrets: its events are made without the replies.
NO_REPLIES: Mapping[str, Any] = MappingProxyType({})
CONTENT_TYPE = "application/cloudevents+json"
#: Checks of a text attribute: 1 to 500 characters that the database can store.
_NAME: list[Callable[[Any], Any]] = [validate.Length(1, 500), storable]


class CloudEvent(Schema):
    """The attributes that an incoming event needs. Other attributes are ignored."""

    class Meta:
        unknown = INCLUDE

    specversion = fields.String(required=True, validate=validate.Equal("1.0"))
    id = fields.String(required=True, validate=_NAME)
    source = fields.String(required=True, validate=_NAME)
    type = fields.String(required=True, validate=_NAME)
    data = fields.Dict(required=True)


def as_cloudevent(
    move: Row[Any] | SimpleNamespace, secrets: SecretFields | None = None, replies: Mapping[str, Any] = NO_REPLIES
) -> dict[str, Any]:
    """Return the CloudEvent of a move. A move that is published again has the same event id.

    move: the columns of a row of `outbox.PUBLISHED`. secrets: the secret fields of its saga, see `Registry.secrets_of`;
    the event has "***" for each secret value. replies: the replies of its steps, which may have secrets.
    """
    reply, data, reason = move.reply, move.data, move.reason
    if secrets is not None:
        values = secrets.values(data, replies)
        reply, data = secrets.masked_reply(move.step, reply), secrets.masked_data(data)
        reply, data, reason = map(values.hidden_in, (reply, data, reason))
    return {
        "specversion": "1.0",
        "id": f"{move.saga_id}/{move.seq}",
        "source": f"/sagas/{move.definition}",
        "type": move.event,
        "subject": str(move.saga_id),
        "time": move.at.isoformat(),
        "datacontenttype": "application/json",
        "data": {
            "saga": move.definition,
            "version": move.definition_version,
            "state": move.dest,
            "step": move.step,
            "reason": reason,
            "reply": reply,
            "started_with": data,
            **({"parent": str(move.parent_id)} if move.parent_id is not None else {}),
        },
    }


def read_cloudevent(body: bytes) -> dict[str, Any]:
    """Return the event in a message. Raise MalformedError or InvalidError for an unusable message."""
    if len(body) > LARGEST_CONTENT:
        raise MalformedError(f"the message: it has {len(body):,} bytes; send at most {LARGEST_CONTENT:,}")
    return load(CloudEvent(), parsed_object(body, "the message"))
