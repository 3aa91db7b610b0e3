"""The base class of every reply, and the replies that all parts of the API share: problems and health probes."""

from typing import Any, ClassVar

from marshmallow import INCLUDE, RAISE, Schema, fields, validate

from machines.saga import Saga


class Reply(Schema):
    """A reply has exactly the members that its schema names. Only the members in `optional` can be missing."""

    class Meta:
        unknown = RAISE

    optional: ClassVar[frozenset[str]] = frozenset()

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.required = field_name not in self.optional


def one_of(words: Any, **more: Any) -> fields.String:
    return fields.String(validate=validate.OneOf([str(word) for word in words]), **more)


def state_of(saga: Saga) -> fields.String:
    return one_of(saga.states)


def moment() -> fields.String:
    return fields.String(metadata={"format": "date-time"})


def maybe(field: type[fields.Field[Any]], **more: Any) -> fields.Field[Any]:
    return field(allow_none=True, **more)


def maybe_nested(schema: type[Schema], description: str) -> fields.Nested:
    return fields.Nested(schema, allow_none=True, metadata={"description": description})


class WrongField(Reply):
    pointer = fields.String(metadata={"description": "JSON pointer of the field; a query parameter by its name"})
    detail = fields.String()


class Problem(Reply):
    """An RFC 9457 problem document. `detail` says what to correct, `errors` which fields are wrong."""

    class Meta:
        unknown = INCLUDE

    optional = frozenset({"errors", "saga_id", "etat_final", "erreur", "error", "success"})

    type = fields.String()
    title = fields.String()
    status = fields.Integer()
    detail = fields.String()
    errors = fields.List(fields.Nested(WrongField))
    saga_id = fields.UUID(metadata={"description": "the saga that the problem is about"})
    etat_final = fields.String(metadata={"description": "the state of that saga"})
    erreur = maybe(fields.String, metadata={"description": "why an order was cancelled"})
    error = fields.String(metadata={"description": "the same as detail, in every answer below /api/saga/"})
    success = fields.Boolean()


class Ready(Reply):
    """The database answers and has the tables of this release."""

    status = fields.String(validate=validate.Equal("ready"))


class Healthy(Reply):
    """The process answers."""

    status = fields.String(validate=validate.Equal("healthy"))
    service = fields.String()
    version = fields.String(metadata={"description": "The version of the service"})
    release = fields.String(metadata={"description": "The id of what is deployed, from the setting RELEASE"})
    timestamp = moment()
