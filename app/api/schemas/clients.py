"""The request to erase a client, and its reply."""

from marshmallow import RAISE, Schema, fields, validate

from app.api.schemas.base import Reply
from app.views.validation import LONGEST_REASON, storable


class Forgetting(Schema):
    """The reason, and the tenant of the client's sagas."""

    class Meta:
        unknown = RAISE

    reason = fields.String(required=True, validate=[validate.Length(1, LONGEST_REASON), storable])
    tenant = fields.String(load_default="", validate=[validate.Length(0, 64), storable])


class Forgotten(Reply):
    """What was erased; a repetition erases nothing."""

    client = fields.String()
    keys = fields.Integer(metadata={"description": "keys that were dropped"})
    sagas = fields.Integer(metadata={"description": "sagas whose values were erased"})
    unmarked = fields.Integer(
        metadata={"description": "sagas whose tables mark nothing as personal or secret; their data stay in clear"}
    )
