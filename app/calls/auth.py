"""The credentials by which a participant recognizes this service: one small class for each kind."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from string import Template
from typing import Protocol
from urllib.parse import urlsplit

from werkzeug.http import http_date

from app.participant_settings.model import Auth
from app.participant_settings.secret_files import SecretFiles


class NoCredentialError(Exception):
    """There is no credential, so the request is not sent. The text names the reason and the setting to check."""


@dataclass(kw_only=True)
class Message:
    """The request as it is sent; a credential may depend on its parts."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    #: When the time for the request ends, in seconds on the clock of time.monotonic.
    deadline: float
    #: What the credential used for this message: its headers or its key. `renew` compares it with the present value.
    secret: object = field(default=None, repr=False)


class Credential(Protocol):
    """Adds headers to each request to one participant."""

    def headers(self, message: Message) -> Mapping[str, str]:
        """Return the headers to add. Raise NoCredentialError when there is no credential."""
        ...

    def renew(self, message: Message) -> bool:
        """Try to renew the credential after a 401. Return True when the message should be sent a second time."""
        ...


class FixedCredential:
    """A credential of type bearer, basic or api_key: every request has the same header."""

    def __init__(self, auth: Auth, clock: Callable[[], float] = time.monotonic) -> None:
        self._auth, self._files = auth, SecretFiles(auth.secrets, auth.files, clock)
        self._headers = _fixed(auth, auth.secrets)

    def headers(self, message: Message) -> Mapping[str, str]:
        if self._files.look():
            self._headers = _fixed(self._auth, self._files.secrets)
        message.secret = self._headers
        return self._headers

    def renew(self, message: Message) -> bool:
        self._files.read()
        self._headers = _fixed(self._auth, self._files.secrets)
        return self._headers != message.secret


def _fixed(auth: Auth, secrets: Mapping[str, str]) -> Mapping[str, str]:
    match auth.type:
        case "basic":
            pair = f"{auth['user']}:{secrets['password']}"
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        case "api_key":
            return {auth["header"]: f"{auth['prefix']}{secrets['key']}"}
        case _:
            return {"Authorization": f"Bearer {secrets['token']}"}


#: Forms of the time of a request, by the setting `timestamp`.
_TIMESTAMPS: Mapping[str, Callable[[float], str]] = {
    "seconds": lambda now: str(int(now)),
    "milliseconds": lambda now: str(int(now * 1000)),
    "iso8601": lambda now: f"{datetime.fromtimestamp(int(now), UTC):%Y-%m-%dT%H:%M:%SZ}",
    "http_date": http_date,
}


class HmacCredential:
    """A signature of each request: an HMAC over a text made of parts of the request, in the participant's format."""

    def __init__(
        self, auth: Auth, clock: Callable[[], float] = time.monotonic, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._files, self._wall_clock = SecretFiles(auth.secrets, auth.files, clock), wall_clock
        self._digest = getattr(hashlib, auth["algorithm"] or "sha256")
        self._encoding, self._timestamp = auth["encoding"] or "hex", _TIMESTAMPS[auth["timestamp"] or "seconds"]
        self._header, self._value = auth["header"], Template(auth["value"] or "${signature}")
        self._timestamp_header, self._canonical = auth["timestamp_header"], Template(auth["canonical"])

    def headers(self, message: Message) -> Mapping[str, str]:
        self._files.look()
        message.secret = key = self._files.secrets["key"]
        parts = urlsplit(message.url)
        timestamp = self._timestamp(self._wall_clock())
        known = {
            "method": message.method,
            "path": parts.path or "/",
            "query": parts.query,
            "target": f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}",
            "host": parts.netloc,
            "timestamp": timestamp,
            "key": message.headers.get("Idempotency-Key", ""),
            "body_sha256": hashlib.sha256(message.body).hexdigest(),
            "newline": "\n",
        }
        # The body is inserted last and as bytes, because it may contain a $, or bytes that are not text.
        around = self._canonical.substitute(known, body="\0").split("\0")
        signed = message.body.join(part.encode() for part in around)
        mac = hmac.new(key.encode(), signed, self._digest).digest()
        signature = mac.hex() if self._encoding == "hex" else base64.b64encode(mac).decode()
        added = {self._header: self._value.substitute(signature=signature, timestamp=timestamp)}
        if self._timestamp_header:
            added[self._timestamp_header] = timestamp
        return added

    def renew(self, message: Message) -> bool:
        self._files.read()
        return self._files.secrets["key"] != message.secret
