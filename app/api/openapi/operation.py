"""One operation of the API as its view declares it. The declaration costs no time in a request."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from marshmallow import Schema

from app.access.permissions import Need, Scope, needs
from machines.saga import Saga

View = TypeVar("View", bound=Callable[..., Any])

#: Headers of the request and of the answer of an operation that starts a saga.
START_REQUEST_HEADERS = ("Idempotency-Key", "Prefer")
START_ANSWER_HEADERS = ("Location", "Idempotent-Replayed")
#: Statuses of a wrong body.
BAD_BODY = (400, 413, 415)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of the API."""

    summary: str
    tag: str
    #: Status → schema of a success, whose docstring is the description; or the description of an answer in text.
    replies: Mapping[int, Schema | str]
    #: Statuses of the errors.
    problems: Sequence[int] = ()
    #: Description of status 409.
    conflict: str = ""
    #: Schema of the request, the saga whose data the request is, EVERY_SAGA or EVERY_DATA.
    body: Schema | Saga | str | None = None
    body_optional: bool = False
    #: Bodies that work without changes, by name.
    examples: Mapping[str, Any] = field(default_factory=dict)
    query: type[Schema] | None = None
    #: Names of headers.
    request_headers: Sequence[str] = ()
    answer_headers: Sequence[str] = ()
    #: Endpoints that take the id at `id_at` of a success.
    leads_to: Sequence[str] = ()
    #: JSON pointer of that id.
    id_at: str = ""
    media_types: Sequence[str] = ("application/json",)
    #: The scope that the operation needs, or OPEN.
    need: Need = Scope.READ


#: The body `{type, data}` of a new saga of any type.
EVERY_SAGA = "every saga"
#: The body of a new saga of any type whose type stands in the path: its data.
EVERY_DATA = "every data"


def operation(summary: str, tag: str, replies: Mapping[int, Schema | str], **more: Any) -> Callable[[View], View]:
    """Attach an `Operation` to a view, and the permission that the view needs."""
    declared = Operation(summary=summary, tag=tag, replies=replies, **more)

    def attach(view: View) -> View:
        vars(view)["operation"] = declared
        return needs(declared.need)(view)

    return attach


def operation_of(view: Callable[..., Any]) -> Operation | None:
    return vars(view).get("operation")
