"""A call as a `curl` command, to ask a participant by hand. It has no credential and no secret of the saga."""

from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Any
from urllib.parse import urlsplit

from app.participant_settings.model import ParticipantSettings
from app.values import written
from machines.call import Call


def as_curl(
    call: Call, path: str | None, headers: Mapping[str, str], body: Any,
    participants: Mapping[str, ParticipantSettings],
) -> str | None:  # fmt: skip
    """Return the command; None while a value of the call is not known, or for a form that is nested.

    path, headers, body: as they were filled from data without secrets. The credential is not among the headers.
    """
    if path is None or (call.body is not None and body is None) or (call.form and not _is_flat(body)):
        return None
    known = participants.get(call.participant)
    base = _without_user(known.url) if known else f"https://{call.participant}"
    words = ["curl", "-i", "-X", call.method, path if call.addressed else f"{base}/{path.lstrip('/')}"]
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}"]
    if body is not None and call.method != "GET":
        words += _sent(call, body)
    return " ".join(map(quote, words))


def _sent(call: Call, body: Any) -> Iterator[str]:
    if call.form:
        for name, value in body.items():
            yield from ("--data-urlencode", f"{name}={value}")
    else:
        yield from ("-H", "Content-Type: application/json", "--data-binary", written(body).decode())


def _is_flat(body: Any) -> bool:
    return isinstance(body, Mapping) and all(isinstance(value, str | int) for value in body.values())


def _without_user(url: str) -> str:
    """Return a URL without the user and the password that it may have."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
