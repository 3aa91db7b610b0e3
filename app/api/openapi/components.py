"""The shared parts of the description: headers, the meaning of each error, and the routes of libraries."""

from apispec import APISpec
from marshmallow import Schema, fields

from app.access.permissions import OPEN, Scope
from app.api.openapi.operation import Operation

#: Status of an error → its description in the document.
PROBLEMS = {
    400: "The request is malformed, or some fields are wrong; `errors` names each.",
    401: "No API key was sent, or the key is unknown, revoked or expired.",
    403: "The key does not have the scope that this operation needs.",
    404: "Not found.",
    409: "Not possible in the present state of the saga.",
    410: "Too late: the step is undone.",
    413: "The body is larger than 256 KiB (a batch: 4 MiB).",
    415: "The body is not sent as application/json.",
    422: "The Idempotency-Key belongs to a saga with other data; send a new key.",
    429: "Too many requests of this kind at this moment; Retry-After says when to send the request again.",
    503: "The database does not answer, or is not migrated to this release.",
}

#: Schema of an idempotency key. A key cannot begin or end with a space, because HTTP removes spaces around a value.
IDEMPOTENCY_KEY = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"}
WEBHOOK = {"type": "string", "minLength": 1, "maxLength": 2000}
_REQUEST_HEADERS = {
    "Idempotency-Key": {
        "description": "The same key returns the same saga: its answer, 409 while it runs, 422 for another body.",
        "schema": IDEMPOTENCY_KEY,
    },
    "Prefer": {
        "description": "RFC 7240. `wait=5`: seconds to wait while the saga runs; `respond-async`: no wait.",
        "schema": {"type": "string", "examples": ["respond-async"]},
    },
    "Saga-Webhook": {
        "description": "The name of a webhook, or an address below its prefix, that receives the end of the saga.",
        "schema": WEBHOOK,
    },
}
_ANSWER_HEADERS = {
    "Location": {"description": "where the saga is", "schema": {"type": "string", "format": "uri-reference"}},
    "Idempotent-Replayed": {
        "description": "true: an earlier request with this key started the saga",
        "schema": {"const": "true"},
    },
}


#: A request uses one of these schemes. The `security` of an operation lists the scope that its API key must have.
_SCHEMES = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "`saga key add` makes one."},
    "Bearer": {"type": "http", "scheme": "bearer", "description": "The same key, as a bearer token."},
}


def add(spec: APISpec) -> None:
    for name, scheme in _SCHEMES.items():
        spec.components.security_scheme(name, scheme)
    for name, parameter in _REQUEST_HEADERS.items():
        spec.components.parameter(name, "header", parameter)
    for name, header in _ANSWER_HEADERS.items():
        spec.components.header(name, header)


def security(declared: Operation) -> list[dict[str, list[str]]]:
    scopes = [str(declared.need)] if isinstance(declared.need, Scope) else []
    return [{name: scopes} for name in _SCHEMES] if scopes else []


def refusals(declared: Operation) -> tuple[int, ...]:
    """Return the error statuses for a request without permission, or of a key that has sent too many requests.

    An operation that needs no permission has none of them.
    """
    return (401, 403, 429) if security(declared) else ()


class _MetricsQuery(Schema):
    names = fields.List(fields.String(), data_key="name[]", metadata={"description": "only these metrics"})


def of_libraries() -> dict[str, Operation]:
    """Return the operations of routes whose views belong to libraries, by endpoint."""
    return {
        "prometheus_metrics": Operation(
            summary="Metrics",
            tag="service",
            need=OPEN,
            replies={200: "All metrics, in the text format of Prometheus."},
            problems=(429,),
            query=_MetricsQuery,
            media_types=("text/plain", "application/openmetrics-text"),
        )
    }
