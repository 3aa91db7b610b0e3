"""Replies about schedules."""

from marshmallow import fields

from app.api.schemas.base import Reply, maybe, moment, one_of
from app.views.schedules import ALLOW, SKIP


class Schedule(Reply):
    """The schedule."""

    name = fields.String()
    type = fields.String()
    data = fields.Dict()
    cron = fields.String()
    zone = fields.String()
    overlap = one_of((SKIP, ALLOW))
    paused = fields.Boolean()
    next_at = maybe(fields.String, metadata={"format": "date-time", "description": "null: it is paused"})
    last_at = maybe(fields.String, metadata={"format": "date-time", "description": "the last time that was due"})
    last_result = maybe(fields.String, metadata={"description": "started, or why no saga was started"})
    last_saga_id = maybe(fields.UUID)
    created_at = moment()
    created_by = fields.String()


class ScheduleList(Reply):
    """The schedules, by name."""

    schedules = fields.List(fields.Nested(Schedule))


class ScheduleRemoved(Reply):
    """The schedule is removed. The sagas that it has started stay."""

    message = fields.String()
