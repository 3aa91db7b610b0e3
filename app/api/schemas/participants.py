"""Replies about participants."""

from marshmallow import fields

from app.api.schemas.base import Reply, maybe, one_of


class Participant(Reply):
    """A participant, as all processes see it."""

    name = fields.String()
    state = one_of(("ok", "not answering", "paused"))
    paused_by = maybe(fields.String)
    paused_s = maybe(fields.Float, metadata={"description": "seconds since the pause"})
    pause_reason = maybe(fields.String)
    breaker = one_of(("closed", "half open", "open"))
    open_in = fields.Integer(metadata={"description": "number of processes whose circuit breaker is not closed"})
    processes = fields.Integer(metadata={"description": "number of processes that run"})
    open_for_s = maybe(fields.Float, metadata={"description": "seconds since the first of the breakers opened"})
    next_try_s = maybe(fields.Float, metadata={"description": "seconds until a breaker lets a call through"})
    sagas_waiting = fields.Integer(metadata={"description": "sagas that wait before their next call to it"})
    calls_last_minute = fields.Integer()
    failed_last_minute = fields.Integer()
    p95_ms = maybe(fields.Float, metadata={"description": "95th percentile of a call; the largest of the processes"})
    last_error = maybe(fields.String)
    last_error_age_s = maybe(fields.Float)


class ParticipantList(Reply):
    """The participants, by name."""

    participants = fields.List(fields.Nested(Participant))


class ParticipantResumed(Reply):
    """The participant is called again."""

    message = fields.String()
    sagas_due = fields.Integer(metadata={"description": "sagas that waited and go on, one after another"})
    within_s = fields.Float(metadata={"description": "seconds until the last of them goes on"})


class ParticipantPaused(Reply):
    """No calls are sent to the participant."""

    message = fields.String()
