"""The errors that a request can get. Each one becomes a problem document (RFC 9457) that says how to correct it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from machines.lines import shortened

#: Longest detail of an error, and longest part of it that says what is wrong with one field, in characters. A field's
#: name is the sender's, and may have 250 kB.
LONGEST_DETAIL, LONGEST_PART = 4000, 1000


class ProblemError(Exception):
    """An error that the sender of the request can correct. members: further members of the problem document."""

    status = 500
    title = "Internal error"
    #: Headers of the answer.
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, detail: str, **members: Any) -> None:
        self.detail = shortened(detail, LONGEST_DETAIL)
        super().__init__(self.detail)
        self.members = members


class MalformedError(ProblemError):
    status = 400
    title = "Malformed request"


def field_words(pointer: str) -> str:
    """Return a JSON pointer as people read it: `lines 2, tag 1` for /lines/1/tag/0."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.strip("/").split("/")]
    words = [f" {int(part) + 1}" if part.isdecimal() else f", {part}" for part in parts]
    return "".join(words).removeprefix(", ").strip()


class InvalidError(ProblemError):
    """A request with wrong fields. wrong: pairs of a field, as a JSON pointer, and its problem."""

    status = 400
    title = "Invalid request"

    def __init__(self, *wrong: tuple[str, str], **members: Any) -> None:
        wrong = tuple((shortened(pointer, LONGEST_PART), shortened(detail, LONGEST_PART)) for pointer, detail in wrong)
        errors = [{"pointer": pointer, "detail": detail} for pointer, detail in wrong]
        super().__init__("; ".join(f"{pointer}: {detail}" for pointer, detail in wrong), errors=errors, **members)


class UnauthenticatedError(ProblemError):
    """The request has no valid credential: no API key, or no session of a signed-in person."""

    status = 401
    title = "Not signed in"
    headers = MappingProxyType({"WWW-Authenticate": "Bearer"})


class ForbiddenError(ProblemError):
    """The sender lacks the permission."""

    status = 403
    title = "Not allowed"


class ForgedError(ForbiddenError):
    title = "Not a form of this service"


class NotFoundError(ProblemError):
    status = 404
    title = "Not found"


class GoneError(ProblemError):
    """The request comes too late, and no repetition of it will succeed."""

    status = 410
    title = "Too late"


class MediaTypeError(ProblemError):
    status = 415
    title = "Unsupported media type"


class StillRunningError(ProblemError):
    status = 409
    title = "The saga of this Idempotency-Key is still running"


class ConflictError(ProblemError):
    status = 409
    title = "Not possible in this state"


class KeyReusedError(ProblemError):
    status = 422
    title = "Idempotency-Key reused for another request"


class SagaDeletedError(KeyReusedError):
    title = "The saga of this Idempotency-Key was deleted"


class BusyError(ProblemError):
    """Too many requests of one kind run at the same time, or were sent within some time."""

    status = 429
    title = "Too many requests"

    def __init__(self, detail: str, retry_after_s: int = 2) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after_s)}


class OtherReleaseError(ProblemError):
    """Only another running release of the service can answer the request."""

    status = 503
    title = "Not in this release"
    headers = MappingProxyType({"Retry-After": "30"})


class NotReadyError(ProblemError):
    status = 503
    title = "Not ready"
