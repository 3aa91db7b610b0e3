"""Parsing of a request: strict JSON, Idempotency-Key, Prefer, and the start of a saga with the body as its data."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from app.access.limits import require_start
from app.access.principal import principal
from app.environ import REPEATED_HEADERS
from app.errors import MalformedError, MediaTypeError
from app.services import services
from app.store.instance import SagaSnapshot
from app.values import parsed_strictly
from app.views.saga_data import data_schema
from app.views.validation import Reason, checked_key, load, object_in, parsed
from machines.saga import Saga

#: Longest wait that a client can request with `Prefer: wait=N`, in seconds. A longer wait is shortened to this time.
LONGEST_WAIT_S = 60.0
#: Header of a start with the webhook that receives the end of the saga.
WEBHOOK_HEADER = "Saga-Webhook"
UNKNOWN_WEBHOOK = (
    "names no webhook that a start can use; send the name of a webhook with url= in WEBHOOKS_FILE, or, for one with "
    "only prefix=, an address below the prefix"
)
#: Every browser sends at least one of these headers with a form.
_BROWSER_HEADERS = ("Origin", "Referer", "Cookie", "Sec-Fetch-Site")


def start_saga(definition: Saga) -> SagaSnapshot:
    """Start a saga for the sender. Its data is the body, its key is Idempotency-Key; Prefer sets the longest wait."""
    require_start(definition.name)
    sent = json_object()
    data, key, wait_s = load(data_schema(definition), sent), idempotency_key(), preferred_wait_s()
    webhook = webhook_named()
    return services().sagas.start(definition.name, data, key, wait_s, by=principal().actor, sent=sent, webhook=webhook)


def webhook_named() -> str | None:
    """Return the webhook that the header Saga-Webhook names, or None. Raise MalformedError if it is not allowed.

    The error shows neither the header nor the names of webhooks, because a client needs to know only its own webhook.
    """
    named = request.headers.get(WEBHOOK_HEADER)
    if named is not None and services().webhooks.named(named) is None:
        raise MalformedError(f"{WEBHOOK_HEADER} {UNKNOWN_WEBHOOK}")
    return named


def start_saga_later(definition: Saga, start_at: datetime) -> SagaSnapshot:
    """Store a saga that starts at `start_at`. The sender, the data and the key are those of `start_saga`."""
    refuse_prefer("the saga starts later, so the request does not wait for it")
    require_start(definition.name)
    sent = json_object()
    data, key, by = load(data_schema(definition), sent), idempotency_key(), principal().actor
    return services().sagas.create(
        definition.name, data, key, by=by, sent=sent, webhook=webhook_named(), start_at=start_at
    )


def idempotency_key() -> str | None:
    """Return the request's Idempotency-Key or None. Raise MalformedError for an invalid key, or for several keys."""
    if "idempotency-key" in request.environ.get(REPEATED_HEADERS, ()):
        raise MalformedError("Idempotency-Key came more than once; send it once")
    return checked_key(request.headers.get("Idempotency-Key"))


def preferred_wait_s() -> float | None:
    """Return the wait that the header Prefer (RFC 7240) requests, in seconds; None when it requests none.

    `respond-async` requests 0 s, and `wait=N` requests N s. Other preferences are ignored.
    """
    for preference in ",".join(request.headers.getlist("Prefer")).split(","):
        name, _, value = (part.strip() for part in preference.partition("="))
        if name.lower() == "respond-async":
            return 0.0
        if name.lower() == "wait" and value.isdecimal():
            return min(float(value), LONGEST_WAIT_S)
    return None


def reason_given() -> str:
    """Return the `reason` in the body. A request without a body, or without a reason, gets a default reason."""
    return str(load(Reason(), json_object() if request.get_data() else {})["reason"])


def json_object() -> dict[str, Any]:
    """Return the body as a JSON object. Raise MediaTypeError, MalformedError or InvalidError."""
    return object_in(json_body(), "the body")


def json_body(parse: Callable[[bytes], Any] = parsed_strictly) -> Any:
    """Return the body as JSON. Raise MediaTypeError, MalformedError or InvalidError. parse: a parser of app.values."""
    if request.mimetype != "application/json" and not _sent_by_curl():
        raise MediaTypeError("send Content-Type: application/json")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise MediaTypeError("send the body uncompressed, without Content-Encoding")
    try:
        body = request.get_data()
    except RequestEntityTooLarge as error:
        error.description = f"the body is larger than {(request.max_content_length or 0) >> 10} KiB; send a smaller one"
        raise
    return parsed(body, "the body", parse)


def refuse_prefer(why: str) -> None:
    """Raise MalformedError when the header Prefer sets a wait. why: the reason why this request does not wait."""
    if preferred_wait_s() is not None:
        refuse_header("Prefer", why)


def refuse_header(name: str, why: str) -> None:
    """Raise MalformedError when the request has this header, which would have no effect. why: the reason for this."""
    if name in request.headers:
        raise MalformedError(f"{name}: {why}; leave the header out")


def _sent_by_curl() -> bool:
    """Return True for JSON that `curl -d` sends without a Content-Type, because curl then declares the body as a form.

    The form of a browser is refused, because a page of another site can send a form without permission. A browser sends
    at least one of _BROWSER_HEADERS. Before a page of another site can send `application/json`, the browser asks this
    service for permission (CORS).
    """
    if request.mimetype != "application/x-www-form-urlencoded" or any(h in request.headers for h in _BROWSER_HEADERS):
        return False
    return request.get_data().lstrip()[:1] == b"{"
