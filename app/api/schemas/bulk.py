"""Replies about bulk jobs."""

from marshmallow import fields

from app.api.schemas.base import Reply, maybe, moment, one_of
from app.store.bulk import DONE, PAUSED, RUNNING, STOPPED
from app.views.bulk import BULK_ACTIONS


class BulkPreview(Reply):
    """The dry run. Nothing was changed."""

    sagas = fields.Integer(metadata={"description": "sagas that the action would move"})
    matching = fields.Integer(metadata={"description": "sagas that need attention and match the filter"})


class BulkJob(Reply):
    """The job."""

    id = fields.UUID()
    action = one_of(BULK_ACTIONS)
    reason = fields.String()
    filter = fields.Dict(metadata={"description": "the words that chose the sagas"})
    status = one_of((RUNNING, PAUSED, STOPPED, DONE))
    sagas = fields.Integer()
    pace = fields.Float(metadata={"description": "largest number of sagas a second"})
    counts = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": "sagas by result: open, moving, refused, completed, compensated, stuck (again), gone"},
    )
    created_at = moment()
    created_by = fields.String()
    finished_at = maybe(fields.String, metadata={"format": "date-time"})


class BulkJobList(Reply):
    """The newest jobs, the newest first."""

    jobs = fields.List(fields.Nested(BulkJob))


class NotableSaga(Reply):
    """A saga that was refused, or is stuck again."""

    saga_id = fields.UUID()
    result = one_of(("refused", "stuck"))
    reason = maybe(fields.String)


class BulkJobWhole(BulkJob):
    """The job with the sagas that a person must look at."""

    notable = fields.List(fields.Nested(NotableSaga))
