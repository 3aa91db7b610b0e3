"""One operation of the API as its view declares it. The declaration costs no time in a request."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from marshmallow import Schema

from app.access.permissions import Need, Scope, needs
from machines.saga import Saga

View = TypeVar("View", bound=Callable[..., Any])

#: Headers of the request and of the answer of an operation that starts a saga.
START_REQUEST_HEADERS = ("Idempotency-Key", "Prefer", "Saga-Webhook")
START_ANSWER_HEADERS = ("Location", "Idempotent-Replayed")
#: Statuses of the errors that a wrong request body can cause.
BAD_BODY = (400, 413, 415)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of the API."""

    summary: str
    tag: str
    #: Success status → schema of a JSON answer, or description of a text answer. The docstring of a schema is its
    #: description.
    replies: Mapping[int, Schema | str]
    #: Statuses of the errors that the view can return.
    problems: Sequence[int] = ()
    #: Description of status 409.
    conflict: str = ""
    #: Request body: a schema, the saga type whose data is the body, EVERY_SAGA, EVERY_DATA or EVERY_BATCH. None: no
    #: body.
    body: Schema | Saga | str | None = None
    body_optional: bool = False
    #: Example request bodies by name. Each example works without changes.
    examples: Mapping[str, Any] = field(default_factory=dict)
    query: type[Schema] | None = None
    #: Names of the headers of the request and of the answer that the document lists.
    request_headers: Sequence[str] = ()
    answer_headers: Sequence[str] = ()
    #: Endpoints whose URL takes the saga's id. A client finds this id at `id_at` in a successful answer.
    leads_to: Sequence[str] = ()
    #: JSON pointer of the saga's id in a successful answer.
    id_at: str = ""
    media_types: Sequence[str] = ("application/json",)
    #: The scope that the operation needs, OPEN, or BY_URL.
    need: Need = Scope.READ


#: Value of `Operation.body`: the body is `{type, data}`, a new saga of any type.
EVERY_SAGA = "every saga"
#: Value of `Operation.body`: the body is the data of a new saga. The path of the request names the type of the saga.
EVERY_DATA = "every data"
#: Value of `Operation.body`: the body is a batch of starts. The path of the request names the type of the sagas.
EVERY_BATCH = "every batch"


def operation(summary: str, tag: str, replies: Mapping[int, Schema | str], **more: Any) -> Callable[[View], View]:
    """Attach an `Operation` to a view, and the permission that the view needs."""
    declared = Operation(summary=summary, tag=tag, replies=replies, **more)

    def attach(view: View) -> View:
        vars(view)["operation"] = declared
        return needs(declared.need)(view)

    return attach


def operation_of(view: Callable[..., Any]) -> Operation | None:
    return vars(view).get("operation")
