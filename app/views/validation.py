"""Strict validation of input, wherever the input comes from: a request, a form, a message or the command line."""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, cast
from uuid import UUID

from marshmallow import RAISE, Schema, ValidationError, fields, validate
from marshmallow.exceptions import SCHEMA

from app.errors import InvalidError, MalformedError
from app.values import UnreadableError, check, parsed_strictly

#: Largest number of characters of an Idempotency-Key.
LONGEST_KEY = 255
#: Largest number of characters of a reason, which the journal and the audit trail keep.
LONGEST_REASON = 500
#: Largest number of starts in one batch.
LARGEST_NUMBER_OF_STARTS = 1000
#: Largest number of wrong fields that one error names; a list of wrong items can have thousands.
MOST_ERRORS = 50
#: Largest number of sagas on one page of a list.
LARGEST_PAGE = 200


def storable(value: Any) -> None:
    """Raise ValidationError for a text that the database cannot store. Texts inside objects and lists count too."""
    try:
        check(value)
    except UnreadableError as error:
        raise ValidationError(f"It has {error}; {error.remedy}.") from None


class Reason(Schema):
    """The optional reason of an action."""

    class Meta:
        unknown = RAISE

    reason = fields.String(
        load_default="requested over the API", validate=[validate.Length(1, LONGEST_REASON), storable]
    )


class Resolution(Reason):
    """The required reason of a resolution, and the reply that later calls may need."""

    reason = fields.String(required=True, validate=[validate.Length(1, LONGEST_REASON), storable])
    reply = fields.Dict(
        load_default=dict,
        validate=storable,
        metadata={"description": "the reply that the participant would have sent"},
    )


class Cursor(fields.Field[tuple[datetime, UUID]]):
    """The last saga of a page, as an opaque text; the next page begins after it."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[datetime, UUID]:
        try:
            at, saga_id = base64.urlsafe_b64decode(str(value)).decode().split(" ")
            return datetime.fromisoformat(at).astimezone(UTC), UUID(saga_id)
        except (ValueError, OverflowError, binascii.Error):
            raise ValidationError("Not a cursor; use next_cursor of the previous page.") from None


def cursor_at(at: datetime, saga_id: UUID) -> str:
    """Return the text of a cursor: the next page begins after this saga."""
    return base64.urlsafe_b64encode(f"{at.astimezone(UTC).isoformat()} {saga_id}".encode()).decode()


def load(schema: Schema, given: Mapping[str, Any], below: str = "") -> dict[str, Any]:
    """Return the validated input. Raise InvalidError for wrong fields.

    below: the JSON pointer of `given` in the input that the sender wrote, such as /data. Errors begin with it.
    """
    try:
        return cast("dict[str, Any]", schema.load(given))
    except ValidationError as error:
        raise InvalidError(*islice(_flat(error.messages, below), MOST_ERRORS)) from None


def checked_key(key: str | None) -> str | None:
    """Return the Idempotency-Key unchanged. Raise MalformedError unless it has 1 to 255 printable ASCII characters."""
    if key is not None and not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise MalformedError(f"Idempotency-Key must have 1 to {LONGEST_KEY} printable ASCII characters")
    return key


def parsed_object(raw: bytes, name: str) -> dict[str, Any]:
    """Parse a JSON object strictly. Raise MalformedError or InvalidError. name: see `parsed`."""
    return object_in(parsed(raw, name), name)


def object_in(value: Any, name: str) -> dict[str, Any]:
    """Return the value if it is a JSON object, else raise MalformedError. name: see `parsed`."""
    if not isinstance(value, dict):
        raise MalformedError(f"{name} must be a JSON object")
    return value


def parsed(raw: bytes, name: str, parse: Callable[[bytes], Any] = parsed_strictly) -> Any:
    """Parse JSON strictly. Raise MalformedError or InvalidError.

    name: the input in the sender's words, for the error, such as "the body". parse: a parser of app.values.
    """
    try:
        return parse(raw)
    except UnreadableError as error:
        problem = f"{error}; {error.remedy}"
        if error.pointer:
            raise InvalidError((error.pointer, problem)) from None
        raise MalformedError(f"{name}: {problem}") from None


def _flat(messages: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Turn marshmallow's tree of messages into (JSON pointer, message) pairs."""
    if isinstance(messages, dict):
        for name, below in messages.items():
            yield from _flat(below, pointer + _token(name))
    else:
        yield from ((pointer, str(message)) for message in messages)


def _token(name: str | int) -> str:
    """Return the part of a JSON pointer (RFC 6901) for a member or an index."""
    if name == SCHEMA:  # marshmallow's name for the object itself
        return ""
    return "/" + str(name).replace("~", "~0").replace("/", "~1")
