"""Replies about saga types."""

from marshmallow import fields

from app.api.schemas.base import Reply, maybe, one_of
from machines.step import Kind
from machines.transitions import Phase, Trigger


def _title() -> fields.String:
    return fields.String(metadata={"description": "what people read in place of the name; empty: they read the name"})


class DefinitionLine(Reply):
    type = fields.String()
    version = fields.Integer()
    steps = fields.Integer()


class DefinitionList(Reply):
    """Every saga type, by name and version."""

    definitions = fields.List(fields.Nested(DefinitionLine))


class DefinitionStep(Reply):
    name = fields.String()
    title = _title()
    kind = one_of(Kind)
    call = fields.String()
    undo = maybe(fields.String)
    when = maybe(fields.String, metadata={"description": "the condition of the step; null: it is always done"})
    attempts = fields.Integer()
    timeout_s = fields.Float()


class DefinitionState(Reply):
    name = fields.String()
    title = _title()
    phase = one_of(Phase)
    step = maybe(fields.String)


class DefinitionRow(Reply):
    source = fields.String()
    trigger = one_of(trigger for trigger in Trigger if trigger is not Trigger.START)
    dest = fields.String()
    call = maybe(fields.String)
    when = maybe(fields.String, metadata={"description": "the condition of the move; null: it has none"})


class Definition(Reply):
    """The newest version of the table, and everything derived from it."""

    type = fields.String()
    version = fields.Integer()
    title = _title()
    initial = fields.String()
    completed = fields.String()
    compensated = fields.String()
    participants = fields.List(fields.String())
    data = fields.Dict(metadata={"description": "JSON Schema of the data of a new saga"})
    steps = fields.List(fields.Nested(DefinitionStep))
    states = fields.List(fields.Nested(DefinitionState))
    rows = fields.List(fields.Nested(DefinitionRow))
