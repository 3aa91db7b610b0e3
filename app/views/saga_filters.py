"""The filters with which people and programs search for sagas. The API, the pages and the command line share them."""

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields

from app.services import services
from app.views.moments import Moment
from app.views.states import participants_of, waiting_in
from app.views.validation import storable


class _Tag(fields.String):
    """Name and value of a tag, with a colon between them."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        name, colon, wanted = str(value).partition(":")
        if not colon or not wanted:
            raise ValidationError("Not a tag with its value, such as customer:Ada.")
        known = sorted({tag for definition in services().registry for tag in definition.tags})
        if name not in known:
            raise ValidationError(f"No table has the tag {name!r}; {_known(known)}.")
        storable(wanted)
        return name, wanted


class _Participant(fields.String):
    """Name of a participant that a table calls."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        known = participants_of(services().registry)
        if value not in known:
            raise ValidationError(f"No table calls the participant {value!r}; they call {', '.join(known)}.")
        return value


class FilterWords(Schema):
    """Filters of a list of sagas; all of them are optional, and a saga must match each."""

    class Meta:
        unknown = RAISE

    created_from = Moment(metadata={"description": "sagas created at this time or later"})
    created_to = Moment(metadata={"description": "sagas created before this time"})
    client = fields.String(validate=storable)
    store = fields.String(validate=storable)
    order = fields.String(validate=storable, metadata={"description": "value of the table's `order=`"})
    without_table = fields.Boolean(
        data_key="unknown",
        metadata={"description": "true: only unfinished sagas whose table this release does not have"},
    )
    still_unknown = fields.Boolean(
        metadata={"description": "true: only ended sagas with an effect that nobody knows and nobody has checked"}
    )
    waiting_for = _Participant(metadata={"description": "sagas that wait before their next call to this participant"})
    parent = fields.UUID(metadata={"description": "the sagas that a step of this saga has started"})
    tag = fields.List(
        _Tag(),
        metadata={"description": "NAME:VALUE of a field in the table's `tags=`; repeat it for several, all must match"},
    )


def narrowed(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a `SagaFilter` for the filter words in a validated query."""
    words = ("created_from", "created_to", "client", "store", "order", "parent", "still_unknown")
    given = {name: query[name] for name in words if name in query}
    if "waiting_for" in query:
        given["waiting_in"] = waiting_in(services().registry, query["waiting_for"])
    return given | {"tags": tuple(query.get("tag", ())), "unknown": query.get("without_table")}


def _known(tags: Sequence[str]) -> str:
    return f"the tags are {', '.join(tags)}" if tags else "name the fields to search by in its tags="
