"""What the operations have in common: headers, the meaning of each error, and the routes that libraries bring."""

from apispec import APISpec
from marshmallow import Schema, fields

from app.access.needs import OPEN
from app.api.openapi.operation import Operation

PROBLEMS = {
    400: "The request is malformed, or fields of it are wrong; `errors` names each.",
    401: "No API key was sent, or one that is unknown, revoked or expired.",
    403: "The key has not the scope that this asks for.",
    404: "There is none.",
    409: "It is not possible in the state the saga is in.",
    413: "The body is larger than 256 KiB.",
    415: "The body is not sent as application/json.",
    422: "The Idempotency-Key began a saga with other data; send a new key.",
    503: "The database does not answer, or is not migrated to this release.",
}

_SENT = {
    "Idempotency-Key": {
        "description": "The same key gives the same saga: its answer again, 409 while it runs, 422 for another body.",
        # A header has no blanks at its ends; they are gone before anybody could count them.
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    },
    "Prefer": {
        "description": "RFC 7240. `wait=5`: how many seconds to wait for the saga; `respond-async`: not at all.",
        "schema": {"type": "string", "examples": ["respond-async"]},
    },
}
_TOLD = {
    "Location": {"description": "where to ask for the saga", "schema": {"type": "string", "format": "uri-reference"}},
    "Idempotent-Replayed": {"description": "true: this key was answered before", "schema": {"const": "true"}},
}


#: Either will do. The words in the brackets of an operation's `security` are the scopes that it asks for.
_SCHEMES = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "`saga key add` makes one."},
    "Bearer": {"type": "http", "scheme": "bearer", "description": "The same key, as a bearer token."},
}


def add(spec: APISpec) -> None:
    for name, scheme in _SCHEMES.items():
        spec.components.security_scheme(name, scheme)
    for name, parameter in _SENT.items():
        spec.components.parameter(name, "header", parameter)
    for name, header in _TOLD.items():
        spec.components.header(name, header)


def security(declared: Operation) -> list[dict[str, list[str]]]:
    scopes = [str(declared.need)] if declared.need is not OPEN else []
    return [{name: scopes} for name in _SCHEMES] if scopes else []


def refusals(declared: Operation) -> tuple[int, ...]:
    """Give the statuses with which who asks is turned away."""
    return (401, 403) if security(declared) else ()


class _MetricsQuery(Schema):
    names = fields.List(fields.String(), data_key="name[]", metadata={"description": "only these"})


def of_libraries() -> dict[str, Operation]:
    """Routes whose views are not ours to decorate, by endpoint."""
    return {
        "prometheus_metrics": Operation(
            summary="Metrics",
            tag="service",
            need=OPEN,
            replies={200: "All metrics, in the text format of Prometheus."},
            query=_MetricsQuery,
            media_types=("text/plain", "application/openmetrics-text"),
        )
    }
