"""/api/v1/bulk: one action on many stuck sagas, as a job that the service carries out."""

from uuid import UUID

from flask import Blueprint, Response, jsonify, url_for
from marshmallow import RAISE, Schema, fields, validate

from app.access.permissions import Scope, keeps_to_tenant
from app.access.principal import principal
from app.api.openapi.operation import BAD_BODY, operation
from app.api.request_parsing import json_object
from app.api.schemas.bulk import BulkJob, BulkJobList, BulkJobWhole, BulkPreview
from app.engine.bulk import PACE
from app.services import services
from app.views.bulk import BULK_ACTIONS, LARGEST_PACE, change_job, fits, job_json, job_whole_json, start_job
from app.views.saga_filters import AttentionWords, attention
from app.views.states import attention_of
from app.views.validation import LONGEST_REASON, load, storable

blueprint = Blueprint("bulk", __name__, url_prefix="/api/v1/bulk")
#: Largest number of jobs of a list.
JOBS = 50


class BulkFilter(AttentionWords):
    """The sagas that need attention and match each of these words, as `saga stuck` lists them."""


class BulkBody(Schema):
    """A new job. Without a filter it takes every saga that needs attention."""

    class Meta:
        unknown = RAISE

    action = fields.String(required=True, validate=validate.OneOf(BULK_ACTIONS))
    reason = fields.String(required=True, validate=[validate.Length(1, LONGEST_REASON), storable])
    filter = fields.Nested(BulkFilter, load_default=dict)
    pace = fields.Float(
        load_default=PACE,
        validate=validate.Range(0.1, LARGEST_PACE),
        metadata={"description": "largest number of sagas a second"},
    )
    dry_run = fields.Boolean(
        load_default=False, metadata={"description": "true: change nothing, and answer how many sagas would be moved"}
    )


@blueprint.get("")
@operation("List the bulk jobs", "bulk jobs", {200: BulkJobList()})
@keeps_to_tenant
def index() -> Response:
    """List the newest 50 jobs, the newest first."""
    store = services().bulk_jobs.store
    return jsonify(jobs=[job_json(job, store.counts(job.id)) for job in store.newest(JOBS)])


@blueprint.post("")
@operation(
    "Start a bulk job", "bulk jobs", {200: BulkPreview(), 201: BulkJob()}, body=BulkBody(), problems=(*BAD_BODY, 409),
    conflict="The action fits no saga that matches.", answer_headers=["Location"], need=Scope.OPERATE,
    examples={"a dry run": {"action": "retry", "reason": "stock is back", "dry_run": True}},
)  # fmt: skip
@keeps_to_tenant
def start() -> Response:
    """Retry or compensate each saga that needs attention and matches the filter, at a pace; the service does it."""
    given = json_object()
    body = load(BulkBody(), given)
    wanted = attention(body["filter"], principal().actor)
    if body["dry_run"]:
        by_state = attention_of(services().registry).by_state(wanted)
        fit = fits(services().registry, by_state)[body["action"]]
        return jsonify(sagas=fit.sagas, matching=sum(row.sagas for row in by_state))
    job_id = start_job(
        services(), wanted, given.get("filter", {}), action=body["action"], reason=body["reason"], pace=body["pace"],
        actor=principal().actor,
    )  # fmt: skip
    answer = _shown(job_id)
    answer.status_code = 201
    answer.headers["Location"] = url_for("bulk.show", job_id=job_id)
    return answer


@blueprint.get("/<uuid:job_id>")
@operation("Show a bulk job", "bulk jobs", {200: BulkJobWhole()}, problems=(404,))
@keeps_to_tenant
def show(job_id: UUID) -> Response:
    """Show how far a job is, and the first 50 sagas that were refused or are stuck again."""
    return jsonify(job_whole_json(services(), job_id, JOBS))


@blueprint.post("/<uuid:job_id>/pause")
@operation(
    "Pause a bulk job", "bulk jobs", {200: BulkJob()}, problems=(404, 409), conflict="It does not run.",
    need=Scope.OPERATE,
)  # fmt: skip
@keeps_to_tenant
def pause(job_id: UUID) -> Response:
    """Move no further sagas of a job until it is resumed."""
    change_job(services(), job_id, "pause", principal().actor)
    return _shown(job_id)


@blueprint.post("/<uuid:job_id>/resume")
@operation(
    "Resume a bulk job", "bulk jobs", {200: BulkJob()}, problems=(404, 409), conflict="It is not paused.",
    need=Scope.OPERATE,
)  # fmt: skip
@keeps_to_tenant
def resume(job_id: UUID) -> Response:
    """Go on with a paused job."""
    change_job(services(), job_id, "resume", principal().actor)
    return _shown(job_id)


@blueprint.post("/<uuid:job_id>/stop")
@operation(
    "Stop a bulk job", "bulk jobs", {200: BulkJob()}, problems=(404, 409), conflict="It has ended already.",
    need=Scope.OPERATE,
)  # fmt: skip
@keeps_to_tenant
def stop(job_id: UUID) -> Response:
    """End a job; the sagas that it has not moved stay as they are."""
    change_job(services(), job_id, "stop", principal().actor)
    return _shown(job_id)


def _shown(job_id: UUID) -> Response:
    store = services().bulk_jobs.store
    return jsonify(job_json(store.find(job_id), store.counts(job_id)))
