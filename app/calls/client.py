"""An HTTP client that sends a request once, within its time. A network failure is returned as a reply, not raised."""

import re
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode
from weakref import proxy

from werkzeug.http import parse_date

from app.calls.answer import Answer, LostError, TooLargeError
from app.calls.auth import Credential, Message, NoCredentialError
from app.calls.connection import NotSentError
from app.calls.exchange import ExchangePool
from app.calls.request import Request, Sender
from app.calls.ways import Origin, Way, Ways
from app.dialing import Dialer, LookUp
from app.participant_settings.model import IDEMPOTENCY_HEADER, ParticipantSettings
from app.values import UnreadableError, parsed, written
from machines.references import scalar_text
from machines.replies import SCALAR, Reply

__all__ = ["HttpClient", "Request", "Sender"]

_FORM = "application/x-www-form-urlencoded"
_UNAUTHORIZED = 401
_SECONDS = re.compile(rb"[0-9]+(\.[0-9]+)?")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class HttpClient:
    """A pool of connections to every participant, used by many threads at once.

    connections: largest number of idle connections that are kept for one origin. participants: settings by name; a
    participant without settings is called without credentials. look_up: resolves host names. allows: see `Dialer`.
    wall_clock: seconds since 1970, for a Retry-After that is a date. dialer: opens the sockets.
    """

    def __init__(
        self,
        connections: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        participants: Mapping[str, ParticipantSettings] | None = None,
        look_up: LookUp = socket.getaddrinfo,
        wall_clock: Callable[[], float] = time.time,
        allows: Callable[[str], bool] = lambda _address: True,
        dialer: type[Dialer] = Dialer,
    ) -> None:
        self._clock, self._wall_clock = clock, wall_clock
        # The credentials are here and not in each `Request`, so that a logged `Request` does not show them.
        # With a reference to this client, only the garbage collector would close its sockets.
        me = proxy(self)

        def send(request: Request) -> Reply:
            return me.send(request)  # type: ignore[no-any-return]

        self._ways = Ways(participants or {}, dialer(look_up, clock, allows), connections, send, clock)

    def send(self, request: Request) -> Reply:
        """Send the request and return its reply, or a reply with the reason why none was received."""
        started = self._clock()
        way = self._ways[request.participant]
        timeout_s = request.timeout_s if way.timeout_s is None else min(request.timeout_s, way.timeout_s)
        try:
            answer = self._exchange(request, way, timeout_s)
        except (NotSentError, NoCredentialError) as error:
            made = isinstance(error, NotSentError)
            words = f"no connection could be made: {error}" if made else str(error)
            return Reply(error=words, sent=False, withheld=not made, duration_ms=self._since(started))
        except TimeoutError:
            words = f"no answer within {timeout_s:g} s"
            return Reply(error=words, duration_ms=self._since(started))
        except LostError as error:
            words = f"the connection was lost before the answer: {error}"
            return Reply(error=words, duration_ms=self._since(started))
        except ValueError as error:  # a header that cannot be sent
            return Reply(error=str(error), sent=False, impossible=True)
        body, size, unreadable, final = _parse_body(answer)
        scalar = not (body is None or isinstance(body, dict | list))
        return Reply(
            status=answer.status,
            body={SCALAR: body} if scalar else body,
            size=size,
            scalar=scalar,
            key_setting=way.key_setting,
            unreadable=unreadable,
            blank=not answer.body,
            final=final,
            headers=answer.headers,
            retry_after_s=self._asked_to_wait(answer.headers),
            duration_ms=self._since(started),
        )

    def _exchange(self, request: Request, way: Way, timeout_s: float) -> Answer:
        origin_url, path = _split(request.url)
        origin, content = way.origins[origin_url], _content(request)
        head = _head(request, origin, path, len(content), way.idempotency_header)
        if way.credential is None:
            return origin.pool.exchange(f"{head}\r\n".encode("ascii") + content, timeout_s, self._clock)
        message = Message(
            method=request.method, url=request.url, headers=request.headers, body=content,
            deadline=self._clock() + timeout_s,
        )  # fmt: skip
        return self._exchange_known(message, head, way.credential, origin.pool)

    def _exchange_known(self, message: Message, head: str, credential: Credential, pool: ExchangePool) -> Answer:
        """Send the request with its credential. After a 401, send it a second time if the credential was renewed.

        The participant has not acted on a request that it answers with 401, so the second one repeats no effect.
        """

        def exchange(shown: Mapping[str, str]) -> Answer:
            sent = f"{head}{_lines(shown)}\r\n".encode("ascii") + message.body
            return pool.exchange(sent, message.deadline - self._clock(), self._clock)

        answer = exchange(credential.headers(message))
        if answer.status != _UNAUTHORIZED or not credential.renew(message):
            return answer
        try:
            return exchange(credential.headers(message))
        except (NotSentError, NoCredentialError):
            return answer

    def _asked_to_wait(self, headers: Mapping[bytes, bytes]) -> float | None:
        """Return the wait that a Retry-After asks for, in seconds; None when the header is missing or illegal.

        The header contains a number of seconds, possibly with decimals, or a date. The wait until a date is counted
        from the reply's Date header, if there is one, because the participant's clock may differ from ours.
        """
        asked = headers.get(b"retry-after")
        if asked is None:
            return None
        asked = asked.strip(b" \t")
        if _SECONDS.fullmatch(asked):
            return float(asked)
        until = _date(asked)
        if until is None:
            return None
        sent = _date(headers.get(b"date", b""))
        return max(until - (self._wall_clock() if sent is None else sent), 0.0)

    def _since(self, started: float) -> float:
        return round((self._clock() - started) * 1000, 3)


def _content(request: Request) -> bytes:
    if request.body is None:
        return b""
    return _form(request.body) if request.form else written(request.body)


def _head(request: Request, origin: Origin, path: str, length: int, idempotency_header: str) -> str:
    """Return the request line and the header lines, without the empty line after them."""
    about, headers = "", request.headers
    if request.body is not None:
        about = f"Content-Length: {length}\r\n"
        if "content-type" not in map(str.lower, headers):
            about += f"Content-Type: {_FORM if request.form else 'application/json'}\r\n"
    elif request.method != "GET":
        about = "Content-Length: 0\r\n"
    if idempotency_header != IDEMPOTENCY_HEADER:
        headers = {idempotency_header if n == IDEMPOTENCY_HEADER else n: text for n, text in headers.items()}
    return f"{request.method} {origin.before}{path} HTTP/1.1\r\n{origin.lines}{about}{_lines(headers)}"


def _form(fields: Mapping[str, Any]) -> bytes:
    """Return fields as the body of a form, in their order. A field with a list is repeated for each item."""
    pairs = [
        (name, scalar_text(name, each, "a form"))
        for name, value in fields.items()
        for each in (value if isinstance(value, list) else [value])
    ]
    return urlencode(pairs).encode()


def _lines(headers: Mapping[str, str]) -> str:
    """Return headers as text, one header a line. Raise ValueError for a header that cannot be sent."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if not lines.isascii() or lines.count("\r") != len(headers) or lines.count("\n") != len(headers):
        raise ValueError(f"one of these headers has a line break, or is not ASCII: {', '.join(headers)}")
    return lines


def _split(url: str) -> tuple[str, str]:
    """Split a URL into its origin, such as http://stock:8080, and its path with the query."""
    slash = url.find("/", len("https://"))
    return (url[:slash], url[slash:]) if slash > 0 else (url, "/")


def _date(text: bytes) -> float | None:
    """Return a date of HTTP as seconds since 1970; None when it is illegal."""
    try:
        date = parse_date(text.decode("latin-1"))
    except OverflowError:  # a number or a time zone of very many digits
        return None
    return None if date is None else date.timestamp()


def _parse_body(answer: Answer) -> tuple[Any, int, str, bool]:
    """Return an answer's JSON value, its size, the reason why it cannot be read, and True when it is too large.

    The value is None when the answer cannot be read. An empty body and `null` become an object without fields.
    """
    try:
        content = answer.content()
        if content == b"":
            return {}, 0, "", False
        value = parsed(content.removeprefix(_BYTE_ORDER_MARK))
    except UnreadableError as error:
        return None, 0, str(error), isinstance(error, TooLargeError)
    return {} if value is None else value, len(content), "", False
