"""Parsing of a request: strict JSON, Idempotency-Key, Prefer, and the start of a saga with the body as its data."""

from typing import Any

from flask import request

from app.access.principal import principal
from app.environ import REPEATED_HEADERS
from app.errors import MalformedError, MediaTypeError
from app.services import services
from app.store.instance import SagaSnapshot
from app.views.saga_data import data_schema
from app.views.validation import Reason, checked_key, load, parsed_object
from machines.saga import Saga

#: Longest wait in seconds that a client may ask for with `Prefer: wait`.
LONGEST_WAIT_S = 60.0
#: Every browser sends at least one of these headers with a form.
_BROWSER_HEADERS = ("Origin", "Referer", "Cookie", "Sec-Fetch-Site")


def start_saga(definition: Saga) -> SagaSnapshot:
    """Start a saga for the sender, with the body as its data, as Idempotency-Key and Prefer require."""
    sent = json_object()
    data, key, wait_s = load(data_schema(definition), sent), idempotency_key(), preferred_wait_s()
    return services().sagas.start(definition.name, data, key, wait_s, by=principal().actor, sent=sent)


def idempotency_key() -> str | None:
    """Return the request's key, or None. Raise MalformedError for an invalid key, or for several keys."""
    if "idempotency-key" in request.environ.get(REPEATED_HEADERS, ()):
        raise MalformedError("Idempotency-Key came more than once; send it once")
    return checked_key(request.headers.get("Idempotency-Key"))


def preferred_wait_s() -> float | None:
    """Return the wait of RFC 7240 Prefer: 0 for `respond-async`, N for `wait=N`. Other values are ignored."""
    for preference in ",".join(request.headers.getlist("Prefer")).split(","):
        name, _, value = (part.strip() for part in preference.partition("="))
        if name.lower() == "respond-async":
            return 0.0
        if name.lower() == "wait" and value.isdecimal():
            return min(float(value), LONGEST_WAIT_S)
    return None


def reason_given() -> str:
    """Return the field `reason` of an optional body."""
    return str(load(Reason(), json_object() if request.get_data() else {})["reason"])


def json_object() -> dict[str, Any]:
    """Return the body as a JSON object. Raise MediaTypeError, MalformedError or InvalidError."""
    if request.mimetype != "application/json" and not _sent_by_curl():
        raise MediaTypeError("send Content-Type: application/json")
    return parsed_object(request.get_data(), "the body")


def _sent_by_curl() -> bool:
    """Return True for JSON that `curl -d` sends without a Content-Type: curl then declares it as a form.

    A page of another site can send a form without permission, so the form of a browser is refused: a browser names its
    origin. For `application/json` a browser asks for permission first.
    """
    if request.mimetype != "application/x-www-form-urlencoded" or any(h in request.headers for h in _BROWSER_HEADERS):
        return False
    return request.get_data().lstrip()[:1] == b"{"
