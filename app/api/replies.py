"""Later answers of participants: the call of the step was accepted with 202, and its result arrives here.

The token in the URL is the permission.
"""

from uuid import UUID

from flask import Blueprint, Response, jsonify, request

from app.access.permissions import BY_URL
from app.api.openapi.operation import BAD_BODY, operation
from app.api.request_parsing import json_body
from app.api.schemas.replies import AnyReply, Open, Taken
from app.engine.reply_urls import PATH
from app.errors import InvalidError
from app.services import services
from app.values import parsed as leniently
from app.views.validation import parsed
from machines.replies import Reply, later_reply

blueprint = Blueprint("replies", __name__, url_prefix=PATH)

#: Media type of an answer that reports an error (RFC 9457). The member `status` of its body counts as the HTTP status.
_PROBLEM = "application/problem+json"


@blueprint.post("/<uuid:saga_id>/<step>/<token>")
@operation(
    "Answer a step later", "sagas", {200: Taken(), 202: Open()}, body=AnyReply(), body_optional=True,
    problems=(*BAD_BODY, 404, 409, 410, 503), conflict="Another answer was first.", need=BY_URL,
)  # fmt: skip
def answer(saga_id: UUID, step: str, token: str) -> Response:
    """Answer a step whose call was accepted with 202, at the URL of its header Saga-Reply-To.

    The body is read like the reply to the call. A problem document counts as a reply with the status that it names.
    """
    outcome = services().answers.take(saga_id, step, token, _reply())
    found = jsonify(saga_id=str(saga_id), step=step, outcome=outcome)
    found.status_code = 200 if outcome else 202
    return found


def _reply() -> Reply:
    """Return the request in the form of a reply to the call."""
    problem = request.mimetype == _PROBLEM
    headers = {name.lower().encode(): value.encode("latin-1") for name, value in request.headers.items()}
    if not request.get_data():
        body = None
    elif problem:
        body = parsed(request.get_data(), "the body", leniently)
    else:
        body = json_body(leniently)
    try:
        return later_reply(body, headers, problem=problem)
    except ValueError as error:
        raise InvalidError(("/status", str(error))) from None
