"""GET /api/v1/sagas/<id>/replay: a saga's journal, run again in memory."""

from uuid import UUID

from flask import Blueprint, Response, jsonify, request
from marshmallow import RAISE, Schema, fields, validate

from app.access.permissions import Scope
from app.access.principal import principal
from app.api.openapi.operation import operation
from app.api.schemas.sagas import SagaReplay
from app.services import services
from app.store import queries
from app.views.replay import replay_json, replayed
from app.views.validation import load

blueprint = Blueprint("replay", __name__)


class _ReplayQuery(Schema):
    class Meta:
        unknown = RAISE

    what_if = fields.String(
        load_default=None,
        validate=validate.Length(1, 200),
        metadata={"description": "one changed outcome, such as `pay=refused` or `undo pay=lost`"},
    )
    redact = fields.Boolean(
        load_default=False, metadata={"description": "true: stand-ins for texts, numbers, dates and ids in the test"}
    )
    version = fields.Integer(
        load_default=None,
        validate=validate.Range(1),
        metadata={"description": "version of the table; default: the saga's own"},
    )


@blueprint.get("/api/v1/sagas/<uuid:saga_id>/replay")
@operation(
    "Replay a saga", "sagas", {200: SagaReplay()}, problems=(400, 404, 409), query=_ReplayQuery,
    conflict="The saga has not started, or its table has a step that no test can run.",
)  # fmt: skip
def show(saga_id: UUID) -> Response:
    """Run the journal again in memory by the present table: the same way or not, as a test, and what if.

    Nothing is called and nothing is stored.
    """
    query = load(_ReplayQuery(), request.args.to_dict())
    saga = queries.get(saga_id)
    return jsonify(replay_json(replayed(services().registry, saga, reach=principal().reach(Scope.READ), **query)))
