"""Replies about the cases of sagas, and about what participants answered."""

from marshmallow import fields

from app.api.schemas.base import Reply, maybe, moment, one_of
from machines.history import Effect, Found
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
    reply = maybe(fields.Raw, metadata={"description": "the body of the reply, which is not kept"})
    action = maybe(fields.String, metadata={"description": "the advised action; null: none"})
    advice = fields.String()
    asked_at = moment()
    asked_by = fields.String()


class StepEffect(Reply):
    """What one step has left at its participant."""

    step = fields.String()
    effect = one_of(Effect)
    words = fields.String(
        metadata={"description": "the effect as the page shows it, such as `took effect, by hand` or `under way`"}
    )
    by_hand = fields.Boolean(metadata={"description": "true: a person resolved it, and the participant did not say it"})
    in_flight = fields.Boolean(metadata={"description": "true: it is under way, and its answer may come at any moment"})
    participant = fields.String(metadata={"description": "of the call that decides the effect"})
    description = fields.String(metadata={"description": "the effect in a sentence"})
    money = maybe(fields.String, metadata={"description": "what it did with money; null: its table does not say"})
    happened = maybe(
        fields.Boolean, metadata={"description": "what the participant answered to a probe; null: no clear answer"}
    )
    answered_at = maybe(fields.String, metadata={"format": "date-time"})
    found = maybe(
        fields.String, metadata={"description": f"what a person has found: {', '.join(Found)}; null: nobody has looked"}
    )
    checked_by = maybe(fields.String, metadata={"description": "who has found it, such as user:otto; null: nobody"})
    checked_at = maybe(fields.String, metadata={"format": "date-time"})


class Effects(Reply):
    """The effects."""

    summary = fields.String(metadata={"description": "the state of the saga in sentences"})
    effects = fields.List(fields.Nested(StepEffect))


class Recorded(Reply):
    """What was found is recorded."""

    message = fields.String()
