"""Replies about the cases of sagas, and about what participants answered."""

from marshmallow import fields

from app.api.schemas.base import Reply, maybe, moment, one_of
from machines.outcomes import Outcome


class Case(Reply):
    """The case."""

    taken_by = maybe(fields.String, metadata={"description": "such as user:otto; null: nobody looks after the saga"})
    taken_at = maybe(fields.String, metadata={"format": "date-time"})
    snoozed_until = maybe(fields.String, metadata={"format": "date-time"})
    note = maybe(fields.String, metadata={"description": "the last note"})


class Answered(Reply):
    """What the participant answered, and the action that is advised."""

    step = fields.String()
    participant = fields.String()
    outcome = one_of(Outcome)
    answer = fields.String(metadata={"description": "the reply to the probe, in one line"})
    action = maybe(fields.String, metadata={"description": "the advised action; null: none"})
    advice = fields.String()
    asked_at = moment()
    asked_by = fields.String()


class Recorded(Reply):
    """What was found is recorded."""

    message = fields.String()
