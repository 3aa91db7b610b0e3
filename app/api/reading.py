"""Reading a request: strict JSON, a saga's data by its own table, Idempotency-Key and Prefer."""

from collections.abc import Mapping
from typing import Any, cast

from flask import request
from marshmallow import RAISE, Schema, ValidationError, fields, validate

from app.api.data import storable
from app.environ import REPEATED_HEADERS
from app.errors import InvalidError, MalformedError, MediaTypeError
from app.values import UnreadableError, parsed_strictly

LONGEST_KEY = 255
LONGEST_WAIT_S = 60.0
#: Each browser sends one of these with a form.
_OF_A_BROWSER = ("Origin", "Referer", "Cookie", "Sec-Fetch-Site")


class Reason(Schema):
    class Meta:
        unknown = RAISE

    reason = fields.String(load_default="asked for over the API", validate=[validate.Length(1, 500), storable])


def load(schema: Schema, given: Mapping[str, Any], below: str = "") -> dict[str, Any]:
    """Validate; `below` is the pointer to where `given` stands in the request."""
    try:
        return cast("dict[str, Any]", schema.load(given))
    except ValidationError as error:
        raise InvalidError(*_flat(error.messages, below)) from None


def idempotency_key() -> str | None:
    """Return the request's key, None without one. Raise MalformedError for one that cannot be meant, or for several."""
    if "idempotency-key" in request.environ.get(REPEATED_HEADERS, ()):
        raise MalformedError("Idempotency-Key came more than once; send it once")
    return checked_key(request.headers.get("Idempotency-Key"))


def checked_key(key: str | None) -> str | None:
    if key is not None and not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise MalformedError(f"Idempotency-Key must have 1 to {LONGEST_KEY} printable ASCII characters")
    return key


def preferred_wait_s() -> float | None:
    """Read RFC 7240 Prefer: `respond-async` is a wait of nothing, `wait=N` of N seconds; anything else is ignored."""
    for preference in ",".join(request.headers.getlist("Prefer")).split(","):
        name, _, value = (part.strip() for part in preference.partition("="))
        if name.lower() == "respond-async":
            return 0.0
        if name.lower() == "wait" and value.isdecimal():
            return min(float(value), LONGEST_WAIT_S)
    return None


def reason_given() -> str:
    """Read why somebody asks for a move: the field `reason` of an optional body."""
    return str(load(Reason(), json_object() if request.get_data() else {})["reason"])


class Resolution(Reason):
    """What somebody who has seen to a step by hand says of it."""

    reason = fields.String(required=True, validate=[validate.Length(1, 500), storable])
    reply = fields.Dict(
        load_default=dict,
        validate=storable,
        metadata={"description": "what its participant would have answered"},
    )


def json_object() -> dict[str, Any]:
    if request.mimetype != "application/json" and not _of_curl():
        raise MediaTypeError("send Content-Type: application/json")
    return parsed_object(request.get_data(), "the body")


def _of_curl() -> bool:
    """Return True for JSON that `curl -d` has sent without a Content-Type, which then calls it a form.

    A page of another site can send a form without leave, so one that a browser sends is refused: a browser says where
    it comes from. JSON proper needs leave, which a browser asks for first.
    """
    if request.mimetype != "application/x-www-form-urlencoded" or any(h in request.headers for h in _OF_A_BROWSER):
        return False
    return request.get_data().lstrip()[:1] == b"{"


def parsed_object(raw: bytes, name: str) -> dict[str, Any]:
    body = parsed(raw, name)
    if not isinstance(body, dict):
        raise MalformedError(f"{name} must be a JSON object")
    return body


def parsed(raw: bytes, name: str) -> Any:
    """Parse JSON strictly; `name` is what its sender knows it by. Raises MalformedError or InvalidError."""
    try:
        return parsed_strictly(raw)
    except UnreadableError as error:
        words = f"{error}; {error.remedy}"
        if error.pointer:
            raise InvalidError((error.pointer, words)) from None
        raise MalformedError(f"{name}: {words}") from None


def _flat(messages: Any, pointer: str = "") -> list[tuple[str, str]]:
    """Turn marshmallow's tree of messages into (JSON pointer, message) pairs."""
    if isinstance(messages, dict):
        return [pair for name, below in messages.items() for pair in _flat(below, f"{pointer}/{name}")]
    return [(pointer, str(message)) for message in messages]
