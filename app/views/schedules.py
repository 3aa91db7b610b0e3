"""A schedule as people write and see it: its check when it is added, its JSON, and the audit rows of its changes."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import RAISE, Schema, fields, validate
from sqlalchemy import Row

from app.cron import ScheduleTimeError, next_after
from app.engine.schedules import NewSchedule
from app.errors import ConflictError, InvalidError
from app.store.audit import Entry
from app.views.saga_data import data_schema
from app.views.validation import load, storable
from machines.registry import Registry, UnknownSagaError
from machines.saga import Saga

#: What a schedule does when the saga of its previous time has not ended: skip the time, or start another saga.
SKIP, ALLOW = "skip", "allow"
_SHORT_CRON: list[Callable[[Any], Any]] = [validate.Length(max=100), storable]
_SHORT_ZONE: list[Callable[[Any], Any]] = [validate.Length(max=64), storable]


class ScheduleBody(Schema):
    """A new schedule. Its cron expression is read in its time zone."""

    class Meta:
        unknown = RAISE

    name = fields.String(
        required=True,
        validate=validate.Regexp(
            r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z", error="Not a name of letters, digits, underscores and hyphens."
        ),
    )
    type = fields.String(required=True, validate=storable, metadata={"description": "type of the sagas"})
    data = fields.Dict(required=True, metadata={"description": "data of each saga"})
    cron = fields.String(
        required=True,
        validate=_SHORT_CRON,
        metadata={"description": "minute hour day month weekday", "examples": ["0 3 * * *"]},
    )
    zone = fields.String(load_default="UTC", validate=_SHORT_ZONE, metadata={"examples": ["Europe/Paris"]})
    overlap = fields.String(
        load_default=SKIP,
        validate=validate.OneOf((SKIP, ALLOW)),
        metadata={"description": "while the saga of the time before has not ended: skip this time, or start another"},
    )


class ScheduleChange(Schema):
    """What changes of a schedule; the rest stays."""

    class Meta:
        unknown = RAISE

    data = fields.Dict(metadata={"description": "data of each saga, as a whole"})
    cron = fields.String(validate=_SHORT_CRON, metadata={"examples": ["0 4 * * *"]})
    zone = fields.String(validate=_SHORT_ZONE, metadata={"examples": ["Europe/Paris"]})
    overlap = fields.String(validate=validate.OneOf((SKIP, ALLOW)))


def checked_data(definition: Saga, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the data of a schedule's saga, checked and with defaults. Raise InvalidError for illegal data."""
    return load(data_schema(definition), data, below="/data")


def new_schedule(registry: Registry, given: Mapping[str, Any]) -> NewSchedule:
    """Return a checked schedule. Raise InvalidError for each wrong field."""
    body = load(ScheduleBody(), given)
    try:
        definition = registry.latest(body["type"])
    except UnknownSagaError:
        raise InvalidError(("/type", f"Not a type; use one of {', '.join(registry.names)}.")) from None
    checked_data(definition, body["data"])
    try:
        next_after(body["cron"], body["zone"], datetime.now(UTC))
    except ScheduleTimeError as error:
        raise InvalidError((f"/{error.field}", str(error))) from None
    return NewSchedule(
        name=body["name"], definition=body["type"], data=body["data"], cron=body["cron"], zone=body["zone"],
        overlaps=body["overlap"] == ALLOW,
    )  # fmt: skip


def schedule_change(registry: Registry, row: Row[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changed columns of a schedule. Raise InvalidError for each wrong field.

    Raise ConflictError when this release does not have the table of its sagas.
    """
    body = load(ScheduleChange(), given)
    if not body:
        raise InvalidError(("", f"Nothing to change; give {', '.join(ScheduleChange().fields)}."))
    if "data" in body:
        try:
            checked_data(registry.latest(row.definition), body["data"])
        except UnknownSagaError as error:
            raise ConflictError(f"{error}, so the data cannot be checked") from None
    if "overlap" in body:
        body["overlaps"] = body.pop("overlap") == ALLOW
    return body


def schedule_json(registry: Registry, row: Row[Any]) -> dict[str, object]:
    """Return a schedule as JSON, without the secret values of its data."""
    return {
        "name": row.name,
        "type": row.definition,
        "data": _masked(registry, row.definition, row.data),
        "cron": row.cron,
        "zone": row.zone,
        "overlap": ALLOW if row.overlaps else SKIP,
        "paused": row.next_at is None,
        "next_at": row.next_at and row.next_at.isoformat(),
        "last_at": row.last_at and row.last_at.isoformat(),
        "last_result": row.last_result,
        "last_saga_id": row.last_saga_id and str(row.last_saga_id),
        "created_at": row.created_at.isoformat(),
        "created_by": row.created_by,
    }


def added_entry(registry: Registry, new: NewSchedule, actor: str) -> Entry:
    """Return the audit row of a new schedule."""
    after = {
        "type": new.definition, "cron": new.cron, "zone": new.zone, "overlap": ALLOW if new.overlaps else SKIP,
        "data": _masked(registry, new.definition, new.data),
    }  # fmt: skip
    return Entry(actor=actor, action="schedule.add", target=new.name, after=after)


def changed_entry(action: str, name: str, actor: str) -> Entry:
    """Return the audit row of `remove`, `pause` or `resume`."""
    return Entry(actor=actor, action=f"schedule.{action}", target=name)


def change_entry(registry: Registry, change: Mapping[str, Any], actor: str) -> Callable[[Row[Any]], Entry]:
    """Return a function that returns the audit row of a change, for the schedule before the change."""

    def entry(row: Row[Any]) -> Entry:
        before, after = ({name: values[name] for name in change} for values in (row._mapping, change))  # noqa: SLF001
        for values in (before, after):
            if "data" in values:
                values["data"] = _masked(registry, row.definition, values["data"])
            if "overlaps" in values:
                values["overlap"] = ALLOW if values.pop("overlaps") else SKIP
        return Entry(actor=actor, action="schedule.change", target=row.name, before=before, after=after)

    return entry


def _masked(registry: Registry, definition: str, data: Mapping[str, Any]) -> Any:
    secrets = registry.secrets_of(definition)
    return data if secrets is None else secrets.shown_data(data)
