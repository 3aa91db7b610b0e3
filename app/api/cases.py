"""/api/v1/sagas/<id>: what a person does about a saga without moving it: ask, record what was found, and its case."""

from uuid import UUID

from flask import Blueprint, Response, jsonify, request
from marshmallow import RAISE, Schema, fields, validate

from app.access.permissions import Scope
from app.access.principal import principal
from app.api.openapi.operation import BAD_BODY, operation
from app.api.request_parsing import json_object
from app.api.schemas.cases import Answered, Case, Effects, Recorded
from app.services import services
from app.store import cases, queries
from app.store.database import db
from app.views.cases import Note, Snooze, Taking, case_json, check_snooze
from app.views.effects import FOUND
from app.views.effects_json import effects_json
from app.views.questions import answer_json, ask
from app.views.unknown_effects import check
from app.views.validation import LONGEST_REASON, load, storable

blueprint = Blueprint("cases", __name__, url_prefix="/api/v1/sagas")


class CheckedBody(Schema):
    """What was found out about the unknown effects of an ended saga."""

    class Meta:
        unknown = RAISE

    found = fields.String(
        required=True,
        validate=validate.OneOf(tuple(FOUND)),
        metadata={"description": "; ".join(f"{name}: {words}" for name, words in FOUND.items())},
    )
    reason = fields.String(required=True, validate=[validate.Length(1, LONGEST_REASON), storable])


@blueprint.post("/<uuid:saga_id>/ask")
@operation(
    "Ask the participant", "cases", {200: Answered()}, problems=(404, 409), need=Scope.OPERATE,
    conflict="The saga moves, or no step of it can be asked about.",
)  # fmt: skip
def ask_now(saga_id: UUID) -> Response:
    """Send only the probe of the stuck step, or of an unknown effect. The saga does not move; one action is advised."""
    saga = queries.get(saga_id)
    body = ask(services(), saga, principal().actor)
    db.session.rollback()
    return jsonify(answer_json(services(), queries.get(saga_id), body))


@blueprint.get("/<uuid:saga_id>/effects")
@operation("Show the effects of a saga", "cases", {200: Effects()}, problems=(404,))
def effects(saga_id: UUID) -> Response:
    """Show what each step has left at its participant, with the answers of participants to people, in sentences.

    Without the saga's table, the summary is empty, and so is the list.
    """
    return jsonify(effects_json(services(), queries.get(saga_id)))


@blueprint.post("/<uuid:saga_id>/checked")
@operation(
    "Record what was found", "cases", {200: Recorded()}, body=CheckedBody(), problems=(*BAD_BODY, 404, 409),
    conflict="No effect of the saga is unknown, or it has not ended.", need=Scope.OPERATE,
)  # fmt: skip
def record_check(saga_id: UUID) -> Response:
    """Record what you found out about the unknown effects of an ended saga. It leaves the list *Still unknown*."""
    body, saga = load(CheckedBody(), json_object()), queries.get(saga_id)
    check(services(), saga, principal().actor, body["found"], body["reason"])
    return jsonify(message=f"Recorded: {FOUND[body['found']]}")


@blueprint.get("/<uuid:saga_id>/case")
@operation("Show the case of a saga", "cases", {200: Case()}, problems=(404,))
def show(saga_id: UUID) -> Response:
    """Show who looks after a saga, until when it is snoozed, and the last note."""
    return _case(queries.get(saga_id).id)


@blueprint.post("/<uuid:saga_id>/case/take")
@operation(
    "Take the case", "cases", {200: Case()}, body=Taking(), body_optional=True, problems=(*BAD_BODY, 404, 409),
    conflict="Somebody else looks after it than `seen` says.", need=Scope.OPERATE,
)  # fmt: skip
def take(saga_id: UUID) -> Response:
    """Look after a saga. With `seen`, take it over from this person."""
    cases.take(db.engine, queries.get(saga_id), principal().actor, _seen())
    return _case(saga_id)


@blueprint.post("/<uuid:saga_id>/case/give-back")
@operation(
    "Give the case back", "cases", {200: Case()}, body=Taking(), body_optional=True, problems=(*BAD_BODY, 404, 409),
    conflict="Somebody else looks after it than `seen` says.", need=Scope.OPERATE,
)  # fmt: skip
def give_back(saga_id: UUID) -> Response:
    """Look after a saga no longer. `seen`: who looks after it; default: you."""
    cases.give_back(db.engine, queries.get(saga_id), principal().actor, _seen() or principal().actor)
    return _case(saga_id)


@blueprint.post("/<uuid:saga_id>/case/note")
@operation(
    "Write a note", "cases", {200: Case()}, body=Note(), problems=(*BAD_BODY, 404), need=Scope.OPERATE
)  # fmt: skip
def note(saga_id: UUID) -> Response:
    """Write a note about a saga into the audit trail."""
    body = load(Note(), json_object())
    cases.note(db.engine, queries.get(saga_id), principal().actor, body["note"])
    return _case(saga_id)


@blueprint.post("/<uuid:saga_id>/case/snooze")
@operation("Snooze a saga", "cases", {200: Case()}, body=Snooze(), problems=(*BAD_BODY, 404), need=Scope.OPERATE)
def snooze(saga_id: UUID) -> Response:
    """Keep a saga off the list of stuck sagas until a time. Alerts and counts keep it."""
    body = load(Snooze(), json_object())
    check_snooze(body["until"])
    cases.snooze(db.engine, queries.get(saga_id), principal().actor, body["until"], body["reason"])
    return _case(saga_id)


@blueprint.post("/<uuid:saga_id>/case/wake")
@operation("Wake a saga", "cases", {200: Case()}, problems=(404,), need=Scope.OPERATE)
def wake(saga_id: UUID) -> Response:
    """Put a snoozed saga back on the list of stuck sagas."""
    cases.snooze(db.engine, queries.get(saga_id), principal().actor, None, "put back on the list")
    return _case(saga_id)


def _seen() -> str | None:
    given = json_object() if request.get_data() else {}
    seen: str | None = load(Taking(), given)["seen"]
    return seen


def _case(saga_id: UUID) -> Response:
    return jsonify(case_json(cases.of([saga_id]).get(saga_id)))
