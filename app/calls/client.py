"""One HTTP call, sent once, within its time. It raises no exception for what the network or a participant does."""

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

from werkzeug.http import parse_date

from app.calls.connection import NotSentError
from app.calls.exchange import LARGEST_REPLY_BYTES, Answer, ExchangeAdapter, ExchangePool, LostError, host_of
from app.calls.outcome import Reply
from app.dialing import Dialer, LookUp
from app.values import UnreadableError, parsed, written
from machines.references import scalar_text


# not frozen: a frozen dataclass takes three times as long to build, and each call builds several
@dataclass(kw_only=True)
class Request:
    """One attempt of one call."""

    #: Name of the participant.
    participant: str
    #: HTTP method.
    method: str
    #: Full URL.
    url: str
    #: Headers of this request, besides those of every request.
    headers: Mapping[str, str]
    #: Body; None for a call without one.
    body: Any
    #: Longest duration of the whole attempt, in seconds.
    timeout_s: float
    #: True: the body is sent as a form, and not as JSON.
    form: bool = False


_FORM = "application/x-www-form-urlencoded"


class Sender(Protocol):
    """An HTTP client that sends one request once."""

    def send(self, request: Request) -> Reply: ...


class HttpClient:
    """A pool of connections to every participant, used by many threads at once.

    api_key: sent to the gateway before the participants.
    ca_file: certificates of a private CA.
    look_up: resolves host names.
    wall_clock: seconds since 1970, for a Retry-After that is a date.
    """

    def __init__(
        self,
        connections: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        api_key: str | None = None,
        ca_file: str | None = None,
        look_up: LookUp = socket.getaddrinfo,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock, self._wall_clock = clock, wall_clock
        # Here and not in each request, so that a request that is shown or logged does not show the key.
        common = {"User-Agent": "saga-orchestrator", "Accept-Encoding": "identity"}
        self._shown = _lines(common | ({"X-API-Key": api_key} if api_key else {}))
        self._adapter = ExchangeAdapter(Dialer(look_up, clock), ca_file=ca_file, connections=connections)
        self._origins: dict[str, tuple[ExchangePool, str]] = {}

    def send(self, request: Request) -> Reply:
        """Send the request and read its reply. Raise ValueError for a header that cannot be sent."""
        started = self._clock()
        origin, path = _split(request.url)
        pool, common_headers = self._origins.get(origin) or self._origin(origin)
        try:
            answer = pool.exchange(_request_bytes(request, path, common_headers), request.timeout_s, self._clock)
        except NotSentError as error:
            words = f"no connection could be made: {error}"
            return Reply(error=words, sent=False, duration_ms=self._since(started))
        except TimeoutError:
            words = f"no answer within {request.timeout_s:g} s"
            return Reply(error=words, duration_ms=self._since(started))
        except LostError as error:
            words = f"the connection was lost before the answer: {error}"
            return Reply(error=words, duration_ms=self._since(started))
        body, unreadable = _parse_body(answer)
        return Reply(
            status=answer.status,
            body=body,
            unreadable=unreadable,
            blank=answer.complete and not answer.body,
            headers=answer.headers,
            retry_after_s=self._asked_to_wait(answer.headers),
            duration_ms=self._since(started),
        )

    def _origin(self, origin: str) -> tuple[ExchangePool, str]:
        found = self._origins[origin] = self._adapter.pool(origin), f"Host: {host_of(origin)}\r\n{self._shown}"
        return found

    def _asked_to_wait(self, headers: Mapping[bytes, bytes]) -> float | None:
        """Return how many seconds a Retry-After asks for, in either of its forms; None when it is missing or illegal.

        A date is compared with the participant's own Date header, if there is one: its clock may differ from ours.
        """
        asked = headers.get(b"retry-after")
        if asked is None:
            return None
        asked = asked.strip(b" \t")
        if asked.isdigit():
            return float(asked)
        until = parse_date(asked.decode("latin-1"))
        if until is None:
            return None
        sent = parse_date(headers.get(b"date", b"").decode("latin-1"))
        return max(until.timestamp() - (sent.timestamp() if sent else self._wall_clock()), 0.0)

    def _since(self, started: float) -> float:
        return round((self._clock() - started) * 1000, 3)


def _request_bytes(request: Request, path: str, common_headers: str) -> bytes:
    content, about = b"", ""
    if request.body is not None:
        content = _form(request.body) if request.form else written(request.body)
        about = f"Content-Length: {len(content)}\r\n"
        if "Content-Type" not in request.headers:
            about += f"Content-Type: {_FORM if request.form else 'application/json'}\r\n"
    elif request.method != "GET":
        about = "Content-Length: 0\r\n"
    head = f"{request.method} {path} HTTP/1.1\r\n{common_headers}{about}{_lines(request.headers)}\r\n"
    return head.encode("ascii") + content


def _form(fields: Mapping[str, Any]) -> bytes:
    """Return fields as a form, in their order; a list sends its field once for each item."""
    pairs = [
        (name, scalar_text(name, each, "a form"))
        for name, value in fields.items()
        for each in (value if isinstance(value, list) else [value])
    ]
    return urlencode(pairs).encode()


def _lines(headers: Mapping[str, str]) -> str:
    """Return headers as text. Raise ValueError for one that cannot be sent."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if not lines.isascii() or lines.count("\r") != len(headers) or lines.count("\n") != len(headers):
        raise ValueError(f"one of these headers has a line break, or is not ASCII: {', '.join(headers)}")
    return lines


def _split(url: str) -> tuple[str, str]:
    """Split a URL into its origin and the rest."""
    slash = url.find("/", len("https://"))
    return (url[:slash], url[slash:]) if slash > 0 else (url, "/")


def _parse_body(answer: Answer) -> tuple[Mapping[str, Any] | None, str]:
    """Return the JSON object of an answer, or None and the reason."""
    if not answer.complete:
        return None, f"larger than {LARGEST_REPLY_BYTES:,} bytes"
    try:
        content = answer.content()
        if content == b"":
            return {}, ""
        body = parsed(content)
    except UnreadableError as error:
        return None, str(error)
    return (body, "") if isinstance(body, dict) else (None, "JSON, and no object")
