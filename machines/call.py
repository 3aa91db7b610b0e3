"""A call to a participant as the table writes it: pure data, filled in from the saga when the call is sent.

Each value in a call is a reference (see `machines.references`) or is computed from references by a function (see
`machines.templates`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypedDict
from urllib.parse import quote

from machines.fields import Field
from machines.keeps import Kept
from machines.outcomes import Outcome
from machines.references import NO_ROOTS, PLACEHOLDER, SAGA, FillError, legal_in_header, look_up, scalar_text, segment
from machines.retry import Retry
from machines.templates import LEFT_OUT, Value, described, fill, references
from machines.words import word

#: The meaning of replies: HTTP status → outcome, or path of a field in the reply → the outcome of each of its values.
Means = Mapping[int | str, "Outcome | str | Mapping[str | bool | int | None, Outcome | str]"]


class _Fields:
    """Default of the arguments `body=` and `form=`: the argument was not given."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """An HTTP request to a participant, with values from the saga."""

    #: HTTP method, in capitals.
    method: str
    #: Name of the participant; its URL comes from the settings.
    participant: str
    #: Path below the participant's URL. A reference in braces, such as `{client_id}`, is replaced by its value.
    path: str
    #: Body: a value of any shape; None for a call without a body.
    body: Value = field(default_factory=dict)
    #: Parameter of the query → value; a list sends the parameter once for each item.
    query: Mapping[str, Value] = field(default_factory=dict)
    #: Header → value.
    headers: Mapping[str, Value] = field(default_factory=dict)
    #: True: the body is sent as application/x-www-form-urlencoded.
    form: bool = False
    #: Name → the value of the reply that is kept under this name. Empty: the whole body is kept.
    keeps: Mapping[str, "Kept | Field"] = field(default_factory=dict)
    #: Status, or path of a field in the reply's body → the outcome; see Means.
    means: Means = field(default_factory=dict)
    #: Retries of this call; None: the retries of its step. A dict has retries by outcome: {IN_DOUBT: …, NOT_SENT: …}.
    retry: "Retry | Mapping[Outcome | str, Retry] | None" = None

    @property
    def references(self) -> tuple[str, ...]:
        """Every reference in the path, the body, the query and the headers."""
        return self._references(optional=True)

    @property
    def required_references(self) -> tuple[str, ...]:
        """The references whose values the call needs: all except those in maybe() and fallback()."""
        return self._references(optional=False)

    def _references(self, *, optional: bool) -> tuple[str, ...]:
        values = [self.body, dict(self.query), dict(self.headers)]
        return (*self.path_references, *references(values, optional=optional))

    @property
    def path_references(self) -> tuple[str, ...]:
        return tuple(PLACEHOLDER.findall(self.path))

    @property
    def named_outcomes(self) -> set[Outcome]:
        """Every outcome that `means` names."""
        meanings = (each.values() if isinstance(each, Mapping) else (each,) for each in self.means.values())
        return {Outcome(one) for each in meanings for one in each}

    @cached_property
    def uses_saga(self) -> bool:
        """True when the call refers to the saga's id (`saga.id`) or to its own idempotency key (`saga.key`)."""
        return any(reference.startswith(f"{SAGA}.") for reference in self.references)

    @cached_property
    def addressed(self) -> bool:
        """True when the path is one reference alone. Its value is then a whole URL, below that of the participant."""
        return PLACEHOLDER.fullmatch(self.path) is not None

    @property
    def plain_path(self) -> str:
        """The path with an `x` instead of each reference in braces, so that its form can be checked."""
        return PLACEHOLDER.sub("x", self.path)

    @property
    def well_formed(self) -> bool:
        return not set("{}") & set(PLACEHOLDER.sub("", self.path))

    def __str__(self) -> str:
        return f"{self.method} {self.participant}{self.path}"

    @property
    def described_body(self) -> str:
        """The body as the table writes it, for diagrams."""
        if isinstance(self.body, Mapping):
            return ", ".join(f"{name}={described(value)}" for name, value in sorted(self.body.items()))
        return "" if self.body is None else described(self.body)

    @cached_property
    def _flat(self) -> bool:
        """True when the body is a dict of plain references, as most bodies are."""
        return isinstance(self.body, Mapping) and all(isinstance(value, str) for value in self.body.values())

    def filled_path(
        self, data: Mapping[str, Any], results: Mapping[str, Any], roots: Mapping[str, Any] = NO_ROOTS
    ) -> str:
        """Return the path and the query. Every value is percent-encoded, so it cannot add a segment or a parameter.

        The path of an `addressed` call is a whole URL as a participant wrote it; the caller must check it.

        Raise FillError for a value that is not known, or that a path cannot contain, such as `..` or null.
        """
        if self.addressed:
            path = scalar_text(self.path, look_up(self.path[1:-1], data, results, roots), "a URL")
        else:
            path = PLACEHOLDER.sub(lambda found: segment(found[1], look_up(found[1], data, results, roots)), self.path)
        if not self.query:
            return path
        pairs = "&".join(f"{quote(name, safe='')}={value}" for name, value in self._parameters(data, results, roots))
        return f"{path}{'&' if '?' in path else '?'}{pairs}" if pairs else path

    def _parameters(
        self, data: Mapping[str, Any], results: Mapping[str, Any], roots: Mapping[str, Any]
    ) -> Iterator[tuple[str, str]]:
        for name, value in self.query.items():
            filled = fill(value, data, results, roots)
            for each in filled if isinstance(filled, list) else () if filled is LEFT_OUT else (filled,):
                yield name, quote(scalar_text(described(value), each, "a query"), safe="")

    def filled_headers(
        self, data: Mapping[str, Any], results: Mapping[str, Any], roots: Mapping[str, Any] = NO_ROOTS
    ) -> dict[str, str]:
        """Return the headers. Raise FillError for a value that is not known, or that a header cannot contain."""
        filled = {}
        for name, value in self.headers.items():
            found = fill(value, data, results, roots)
            if found is LEFT_OUT:
                continue
            text = scalar_text(described(value), found, "a header")
            if not legal_in_header(text) or text != text.strip():
                raise FillError(f"{described(value)} has a character that no header may have")
            filled[name] = text
        return filled

    def filled_body(
        self, data: Mapping[str, Any], results: Mapping[str, Any], roots: Mapping[str, Any] = NO_ROOTS
    ) -> Any:
        """Return the body; None for a call without one. Raise FillError when a value is not known."""
        if self._flat:
            return {name: look_up(reference, data, results, roots) for name, reference in self.body.items()}
        filled = None if self.body is None else fill(self.body, data, results, roots)
        return None if filled is LEFT_OUT else filled


class CallColumns(TypedDict, total=False):
    """Columns that a call with any HTTP method may have."""

    query: Mapping[str, Value]
    headers: Mapping[str, Value]
    keeps: Mapping[str, Kept | Field]
    means: Means
    retry: Retry | Mapping[Outcome | str, Retry]


@word
def get(participant: str, path: str, /, **columns: Any) -> Call:
    """Return a GET call. columns: those of `CallColumns`; a GET has no body."""
    if fields := tuple(columns.keys() - CallColumns.__annotations__.keys()):
        columns = {name: value for name, value in columns.items() if name not in fields} | {"body": Mixed(fields)}
    return Call(method="GET", participant=participant, path=path, **columns)


@word
def post(participant: str, path: str, /, **arguments: Any) -> Call:
    """Return a POST call.

    arguments: the columns of `CallColumns`, and the body: as body=, as form=, or as fields such as items="lines".
    """
    return _with_body("POST", participant, path, arguments)


@word
def put(participant: str, path: str, /, **arguments: Any) -> Call:
    """Return a PUT call; its arguments are those of post()."""
    return _with_body("PUT", participant, path, arguments)


@word
def patch(participant: str, path: str, /, **arguments: Any) -> Call:
    """Return a PATCH call; its arguments are those of post()."""
    return _with_body("PATCH", participant, path, arguments)


@word
def delete(participant: str, path: str, /, **arguments: Any) -> Call:
    """Return a DELETE call; its arguments are those of post(), the body may be absent. 404 and 410 mean success."""
    return _with_body("DELETE", participant, path, {"body": None} | arguments if _no_body(arguments) else arguments)


def _no_body(arguments: Mapping[str, Any]) -> bool:
    return not arguments.keys() - CallColumns.__annotations__.keys()


def _with_body(method: str, participant: str, path: str, arguments: Mapping[str, Any]) -> Call:
    columns = {name: arguments[name] for name in CallColumns.__annotations__ if name in arguments}
    rest = {name: value for name, value in arguments.items() if name not in columns}
    body, form = rest.pop("body", _Fields), rest.pop("form", _Fields)
    if form is not _Fields:
        body = form if body is _Fields and not rest else Mixed(tuple(rest), form=True, body=body is not _Fields)
    elif body is _Fields:
        body = rest
    elif rest:
        body = Mixed(tuple(rest), body=True)
    return Call(method=method, participant=participant, path=path, body=body, form=form is not _Fields, **columns)


@dataclass(frozen=True)
class Mixed:
    """A body that the author wrote in two ways, for example as body= and as fields; check() refuses it."""

    fields: tuple[str, ...]
    form: bool = False
    body: bool = False
