"""/api/v1/schedules: sagas that are started at the times of a cron expression."""

from flask import Blueprint, Response, jsonify, url_for

from app.access.permissions import Scope, keeps_to_tenant
from app.access.principal import principal
from app.api.openapi.operation import BAD_BODY, operation
from app.api.request_parsing import json_object
from app.api.schemas.schedules import Schedule, ScheduleList, ScheduleRemoved
from app.services import services
from app.views.schedules import (
    ScheduleBody,
    ScheduleChange,
    added_entry,
    change_entry,
    changed_entry,
    new_schedule,
    schedule_change,
    schedule_json,
)

blueprint = Blueprint("schedules", __name__, url_prefix="/api/v1/schedules")


@blueprint.get("")
@operation("List the schedules", "schedules", {200: ScheduleList()})
@keeps_to_tenant
def index() -> Response:
    """List the schedules by name."""
    rows = services().schedules.store.all()
    return jsonify(schedules=[schedule_json(services().registry, row) for row in rows])


@blueprint.post("")
@operation(
    "Add a schedule", "schedules", {201: Schedule()}, body=ScheduleBody(), problems=(*BAD_BODY, 409),
    conflict="There is a schedule of this name.", answer_headers=["Location"], need=Scope.OPERATE,
)  # fmt: skip
@keeps_to_tenant
def add() -> Response:
    """Start a saga of a type at each time of a cron expression, in a time zone."""
    new = new_schedule(services().registry, json_object())
    services().schedules.add(new, added_entry(services().registry, new, principal().actor))
    answer = _shown(new.name)
    answer.status_code = 201
    answer.headers["Location"] = url_for("schedules.show", name=new.name)
    return answer


@blueprint.get("/<name>")
@operation("Show a schedule", "schedules", {200: Schedule()}, problems=(404,))
@keeps_to_tenant
def show(name: str) -> Response:
    return _shown(name)


@blueprint.patch("/<name>")
@operation(
    "Change a schedule", "schedules", {200: Schedule()}, body=ScheduleChange(), problems=(*BAD_BODY, 404, 409),
    conflict="This release does not have the table of its sagas.", need=Scope.OPERATE,
)  # fmt: skip
@keeps_to_tenant
def change(name: str) -> Response:
    """Change data, cron expression, zone or overlap. A time that is due already is still started, by the new data."""
    registry, schedules = services().registry, services().schedules
    values = schedule_change(registry, schedules.store.find(name), json_object())
    schedules.change(name, values, change_entry(registry, values, principal().actor))
    return _shown(name)


@blueprint.delete("/<name>")
@operation("Remove a schedule", "schedules", {200: ScheduleRemoved()}, problems=(404,), need=Scope.OPERATE)
@keeps_to_tenant
def remove(name: str) -> Response:
    """Remove a schedule. The sagas that it has started stay."""
    services().schedules.store.remove(name, changed_entry("remove", name, principal().actor))
    return jsonify(message="Schedule removed")


@blueprint.post("/<name>/pause")
@operation(
    "Pause a schedule", "schedules", {200: Schedule()}, problems=(404, 409), conflict="It is paused already.",
    need=Scope.OPERATE,
)  # fmt: skip
@keeps_to_tenant
def pause(name: str) -> Response:
    """Start no sagas of a schedule until it is resumed."""
    services().schedules.pause(name, changed_entry("pause", name, principal().actor))
    return _shown(name)


@blueprint.post("/<name>/resume")
@operation(
    "Resume a schedule", "schedules", {200: Schedule()}, problems=(404, 409), conflict="It is not paused.",
    need=Scope.OPERATE,
)  # fmt: skip
@keeps_to_tenant
def resume(name: str) -> Response:
    """Start sagas of a paused schedule again, from its next time on."""
    services().schedules.resume(name, changed_entry("resume", name, principal().actor))
    return _shown(name)


def _shown(name: str) -> Response:
    return jsonify(schedule_json(services().registry, services().schedules.store.find(name)))
