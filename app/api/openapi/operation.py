"""What one operation of the API promises, declared beside its view. It adds nothing to the way of a request."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from marshmallow import Schema

from app.access.needs import Need, needs
from app.access.roles import Scope
from machines.saga import Saga

View = TypeVar("View", bound=Callable[..., Any])

#: The request headers and the reply headers of an operation that starts a saga.
STARTS = ("Idempotency-Key", "Prefer")
STARTED = ("Location", "Idempotent-Replayed")
#: What can be wrong with a request that has a body.
BAD_BODY = (400, 413, 415)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """replies: the schema of each success, whose docstring is its description; a mere description where it is text.

    body: the request's schema, or the saga whose data it is, or EVERY_SAGA; optional when body_optional.
    examples: bodies that work as they stand, by name. sends, tells: names of request and of reply headers.
    problems: statuses of the errors, 409 explained by `conflict`. leads_to: endpoints that take the id which stands
    at the JSON pointer `id_at` of a success. need: the scope that it asks for, or OPEN.
    """

    summary: str
    tag: str
    replies: Mapping[int, Schema | str]
    problems: Sequence[int] = ()
    conflict: str = ""
    body: Schema | Saga | str | None = None
    body_optional: bool = False
    examples: Mapping[str, Any] = field(default_factory=dict)
    query: type[Schema] | None = None
    sends: Sequence[str] = ()
    tells: Sequence[str] = ()
    leads_to: Sequence[str] = ()
    id_at: str = ""
    media_types: Sequence[str] = ("application/json",)
    need: Need = Scope.READ


#: The body `{type, data}` of a saga of any definition there is.
EVERY_SAGA = "every saga"


def operation(summary: str, tag: str, replies: Mapping[int, Schema | str], **more: Any) -> Callable[[View], View]:
    """Attach an `Operation` to a view, and what it needs of those who ask."""
    promised = Operation(summary=summary, tag=tag, replies=replies, **more)

    def attach(view: View) -> View:
        vars(view)["operation"] = promised
        return needs(promised.need)(view)

    return attach


def operation_of(view: Callable[..., Any]) -> Operation | None:
    return vars(view).get("operation")
