"""The filters with which people and programs search for sagas. The API, the pages and the command line share them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from app.services import services
from app.store.lists import SagaFilter
from app.store.search import oldest_searched
from app.views.known_names import check_participant, check_state, check_step, check_type
from app.views.moments import Moment
from app.views.states import states_with, waiting_in
from app.views.validation import storable
from machines.statuses import UNDER_WAY, Status


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


class _Trimmed(fields.String):
    """A text without white space at its ends."""

    def _deserialize(self, value: Any, *arguments: Any, **more: Any) -> str:
        return super()._deserialize(value, *arguments, **more).strip()


def order_of(orders: Sequence[str]) -> validate.OneOf:
    """Return the check of a parameter `sort`."""
    return validate.OneOf(orders, error="No list has the order {input!r}; the orders are {choices}.")


#: Filter word of the sagas that stay in a state longer than their table expects, beside the statuses.
OVERSTAYED = "overstayed"
#: What a filter can ask of a saga's case.
CASES = ("open", "mine", "taken", "free", "snoozed", "all")
_NOT_STUCK = (Status.PENDING, Status.WAITING, *UNDER_WAY)
#: Longest text of a search, in characters; and the longest time that a saga can have taken, in seconds.
LONGEST_SEARCH, LONGEST_S = 200, 1e9


class FilterWords(Schema):
    """Filters of a list of sagas; all of them are optional, and a saga must match each."""

    class Meta:
        unknown = RAISE

    type: fields.Field[Any] = fields.String(validate=check_type, metadata={"description": "name of the definition"})
    state: fields.Field[Any] = fields.String(validate=check_state)
    q = _Trimmed(
        validate=[validate.Length(1, LONGEST_SEARCH), storable],
        metadata={
            "description": "sagas with this id, its last 8 digits or its first 6, this client, business number, tag or "
            "Idempotency-Key; also the beginning of a client, number or tag, at most 500 sagas of each"
        },
    )
    created_from = Moment(metadata={"description": "sagas created at this time or later"})
    entered_from = Moment(metadata={"description": "sagas that came to their state at this time or later"})
    stuck_from = Moment(metadata={"description": "sagas that got stuck at this time or later, also those since moved"})
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
    version = fields.Integer(validate=validate.Range(1, 2**31 - 1), metadata={"description": "version of the table"})
    participant = fields.String(
        validate=check_participant,
        metadata={"description": "unfinished sagas whose next call, or the call in flight or stuck, goes to it"},
    )
    error_contains = fields.String(
        validate=[validate.Length(1, LONGEST_SEARCH), storable],
        metadata={"description": "part of the error, in any letter case; not of sagas whose table has secrets"},
    )
    slower_than = fields.Float(
        validate=validate.Range(0, LONGEST_S),
        metadata={"description": "sagas that have taken at least these seconds, until their end or until now"},
    )
    tenant = fields.String(
        validate=storable, metadata={"description": "sagas of this tenant; for senders that see the sagas of all"}
    )
    waiting_for = fields.String(
        validate=check_participant,
        metadata={"description": "sagas that wait before their next call to this participant"},
    )
    parent = fields.UUID(metadata={"description": "the sagas that a step of this saga has started"})
    tag = fields.List(
        _Tag(),
        metadata={"description": "NAME:VALUE of a field in the table's `tags=`; repeat it for several, all must match"},
    )


class AttentionWords(FilterWords):
    """Filters of the sagas that need attention: those of each list, and those of a group of `saga stuck`."""

    status = fields.String(
        validate=validate.OneOf([*(status.value for status in Status), OVERSTAYED]),
        metadata={"description": "as the journal has it; `overstayed`: not stuck, and of a table of this release"},
    )
    step = fields.String(
        validate=check_step, metadata={"description": "sagas whose call in flight or stuck is of this step"}
    )
    error = fields.String(validate=storable, metadata={"description": "exactly this error"})
    cause = fields.String(
        validate=storable, metadata={"description": "exactly this cause, as `saga stuck --json` shows it"}
    )
    case = fields.String(
        validate=validate.OneOf(CASES),
        metadata={
            "description": "by case: `open` is not snoozed, and the default without `id`; `free` is taken by nobody"
        },
    )
    id = fields.List(fields.UUID(), metadata={"description": "one of these sagas"})
    job = fields.UUID(metadata={"description": "the sagas that are stuck again after this job"})


#: Filter word → its argument of `SagaFilter`.
_ARGUMENTS = {
    "created_from": "created_from", "created_to": "created_to",
    "entered_from": "entered_from", "stuck_from": "stuck_from", "client": "client", "store": "store", "order": "order",
    "parent": "parent", "still_unknown": "still_unknown", "q": "words", "version": "version",
    "error_contains": "error_contains", "slower_than": "slower_than_s", "tenant": "tenant",
}  # fmt: skip


def narrowed(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a `SagaFilter` for the filter words in a validated query. A page also has a step."""
    given = {argument: query[name] for name, argument in _ARGUMENTS.items() if name in query}
    given |= {"definitions": _several(query.get("type")), "states": _several(query.get("state"))}
    if "waiting_for" in query:
        given["waiting_in"] = waiting_in(services().registry, query["waiting_for"])
    if of_states := {name: query.get(name, "") for name in ("step", "participant") if query.get(name)}:
        given["state_keys"] = states_with(services().registry, **{"step": "", "participant": ""} | of_states)
    return given | {"tags": tuple(query.get("tag", ())), "unknown": query.get("without_table")}


def attention(query: Mapping[str, Any], actor: str) -> SagaFilter:
    """Return the filter of a validated query of `AttentionWords`. actor: whose cases are `mine`."""
    status, case = query.get("status"), query.get("case") or ("all" if query.get("id") else "open")
    if status == OVERSTAYED:
        query = {"without_table": False, **query}
    return SagaFilter(
        statuses=_NOT_STUCK if status == OVERSTAYED else (status,) if status else (),
        error=query.get("error"),
        cause=query.get("cause"),
        ids=tuple(query.get("id", ())),
        job=query.get("job"),
        case=None if case == "all" else (case, actor),
        **narrowed(query),
    )


def shows_children(query: Mapping[str, Any]) -> bool:
    """Return True when a list also has the sagas that other sagas have started, because each may need a person."""
    words = ("children", "parent", "stuck_from", "without_table", "still_unknown", "waiting_for")
    return any(query.get(word) for word in words)


def bounded(wanted: SagaFilter, *, by_change: bool = False) -> tuple[SagaFilter, datetime | None]:
    """Return the filter as a list may use it, and from when on it looks at sagas; None: it looks at all sagas.

    A filter that no index serves looks at the newest sagas only, unless it says itself from when on. by_change: True:
    the list is sorted by the last change. No index serves that either: with one, every commit would write to it.
    """
    sorts = by_change and not wanted.is_short
    if not (wanted.searches or sorts) or wanted.created_from is not None:
        return wanted, None
    searched_from = oldest_searched(wanted.created_to, with_error=wanted.error_contains is not None)
    return replace(wanted, created_from=searched_from), searched_from


def _several(names: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the names of a word that a page takes several times."""
    if not names:
        return ()
    return (names,) if isinstance(names, str) else names


def _known(tags: Sequence[str]) -> str:
    return f"the tags are {', '.join(tags)}" if tags else "name the fields to search by in its tags="
