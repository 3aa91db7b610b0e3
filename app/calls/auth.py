"""The credentials by which a participant recognizes this service: one small class for each kind."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Protocol
from urllib.parse import urlsplit

from app.participant_settings.model import Auth


class NoCredentialError(Exception):
    """There is no credential, so the request is not sent. The text names the reason and the setting to check."""


@dataclass(kw_only=True)
class Message:
    """The request as it is sent; a credential may depend on its parts."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    #: When the time of the request is over, in seconds on the clock of time.monotonic.
    deadline: float


class Credential(Protocol):
    """Adds headers to each request to one participant."""

    def headers(self, message: Message) -> Mapping[str, str]:
        """Return the headers to add. Raise NoCredentialError when there is no credential."""
        ...

    def renew(self, refused: Mapping[str, str], deadline: float) -> bool:
        """Try to renew the credential after a 401. Return True when the request should be sent a second time.

        refused: the headers that got the 401. deadline: as in `Message`.
        """
        ...


class FixedCredential:
    """A credential of type bearer, basic or api_key: every request has the same header.

    After a 401 the secret is read from its file again, because it may have been replaced.
    """

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self._headers = _fixed(auth, auth.secrets)

    def headers(self, message: Message) -> Mapping[str, str]:  # noqa: ARG002  the same for every message
        return self._headers

    def renew(self, refused: Mapping[str, str], deadline: float) -> bool:  # noqa: ARG002  reading a file takes no time
        try:
            read = {name: Path(file).read_text().strip() for name, file in self._auth.files.items()}
        except (OSError, UnicodeDecodeError):
            return False  # the file may be about to be replaced; keep the secret in memory
        self._headers = _fixed(self._auth, {**self._auth.secrets, **read})
        return self._headers != refused


def _fixed(auth: Auth, secrets: Mapping[str, str]) -> Mapping[str, str]:
    match auth.type:
        case "basic":
            pair = f"{auth['user']}:{secrets['password']}"
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        case "api_key":
            return {auth["header"]: f"{auth['prefix']}{secrets['key']}"}
        case _:
            return {"Authorization": f"Bearer {secrets['token']}"}


class HmacCredential:
    """A signature of each request: an HMAC over a text with parts of the request, as the participant defines it."""

    def __init__(self, auth: Auth, clock: Callable[[], float] = time.time) -> None:
        self._key, self._clock = auth["key"].encode(), clock
        self._digest = getattr(hashlib, auth["algorithm"] or "sha256")
        self._encoding = auth["encoding"] or "hex"
        self._header, self._value = auth["header"], Template(auth["value"] or "${signature}")
        self._timestamp_header, self._canonical = auth["timestamp_header"], Template(auth["canonical"])

    def headers(self, message: Message) -> Mapping[str, str]:
        parts = urlsplit(message.url)
        timestamp = str(int(self._clock()))
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
        # The body is inserted last and as bytes, because it may contain a $ or bytes that are no text.
        head, mark, tail = self._canonical.substitute(known, body="\0").partition("\0")
        signed = head.encode() + (message.body if mark else b"") + tail.encode()
        mac = hmac.new(self._key, signed, self._digest).digest()
        signature = mac.hex() if self._encoding == "hex" else base64.b64encode(mac).decode()
        added = {self._header: self._value.substitute(signature=signature, timestamp=timestamp)}
        if self._timestamp_header:
            added[self._timestamp_header] = timestamp
        return added

    def renew(self, refused: Mapping[str, str], deadline: float) -> bool:  # noqa: ARG002  a new signature is refused, too
        return False
