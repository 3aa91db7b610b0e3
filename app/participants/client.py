"""Sending one call over HTTP, once, within its time. It never raises for what the network or a participant does."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import orjson
import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError

from app.participants.outcome import Reply

#: A reply beyond this is not understood, nor read to its end.
LARGEST_REPLY_BYTES = 1 << 20
CONNECT_TIMEOUT_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """One attempt of one call. participant: its name. url: in full. body: None for a call without one.
    timeout_s: for the whole of it.
    """

    participant: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: Mapping[str, Any] | None
    timeout_s: float


class _OneSend:
    """Sends a request's head and body together: one call of the system, one packet, one waking of who reads it."""

    _with_body, _head = False, b""

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **more: Any) -> None:
        self._with_body, self._head = body is not None, b""
        super().request(method, url, body, headers, **more)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        if self._with_body:
            self._with_body, self._head = False, data
        else:
            super().send(self._head + data)  # type: ignore[misc]
            self._head = b""


class _Http(_OneSend, HTTPConnection):
    pass


class _Https(_OneSend, HTTPSConnection):
    pass


class Participants:
    """A pool of connections to every participant, used by many threads at once. api_key: what a gateway on the way
    asks for.
    """

    def __init__(
        self, connections: int, clock: Callable[[], float] = time.monotonic, *, api_key: str | None = None
    ) -> None:
        self._clock = clock
        # Here rather than in each request, so that nothing that shows a request shows it.
        self._shown = {"Accept-Encoding": "identity"} | ({"X-API-Key": api_key} if api_key else {})
        self._adapter = HTTPAdapter(pool_connections=connections, pool_maxsize=connections)
        self._pools: dict[str, HTTPConnectionPool] = {}

    def send(self, request: Request) -> Reply:
        """Send the request and read its reply."""
        started = self._clock()
        try:
            response = self._answer(request)
            content = self._read(response, started + request.timeout_s)
        except (HTTPError, OSError) as error:
            words = _in_words(error, request.timeout_s)
            return Reply(error=words, sent=not _never_sent(error), duration_ms=self._since(started))
        return Reply(
            status=response.status,
            body=_understood(content),
            retry_after_s=_seconds(response.headers.get("Retry-After", "")),
            duration_ms=self._since(started),
        )

    def _answer(self, request: Request) -> BaseHTTPResponse:
        origin, path = _split(request.url)
        headers, content = {**request.headers, **self._shown}, None
        if request.body is not None:
            headers["Content-Type"], content = "application/json", orjson.dumps(request.body)
        # The pool alone: a Session, and the adapter as well, would look for proxies, certificates and cookies at each
        # call, which takes longer than the call. Nothing is retried or redirected, for only the saga knows what that
        # would mean.
        pool = self._pools.get(origin) or self._pool(origin)
        return pool.urlopen(
            request.method,
            path,
            body=content,
            headers=headers,
            retries=False,
            timeout=_timeout(request.timeout_s),
            preload_content=False,
            assert_same_host=False,
        )

    def _read(self, response: BaseHTTPResponse, deadline: float) -> bytes | None:
        content = b""
        try:
            for chunk in response.stream(65_536):
                content += chunk
                if len(content) > LARGEST_REPLY_BYTES or self._clock() > deadline:
                    # A participant that drips bytes would otherwise hold the saga beyond its lease.
                    response.close()
                    return None
            return content
        finally:
            response.release_conn()

    def _pool(self, origin: str) -> HTTPConnectionPool:
        """Look up once what requests would use for this origin, certificates and all."""
        anything = requests.Request("GET", origin).prepare()
        found = self._adapter.get_connection_with_tls_context(anything, verify=True, proxies={})
        self._adapter.cert_verify(found, origin, verify=True, cert=None)
        pool = cast("HTTPConnectionPool", found)
        pool.ConnectionCls = _Https if origin.startswith("https") else _Http
        self._pools[origin] = pool
        return pool

    def _since(self, started: float) -> float:
        return round((self._clock() - started) * 1000, 3)


def _split(url: str) -> tuple[str, str]:
    """Take a URL apart into its origin and what is asked for there."""
    slash = url.find("/", len("https://"))
    return (url[:slash], url[slash:]) if slash > 0 else (url, "/")


@cache
def _timeout(seconds: float) -> Timeout:
    return Timeout(connect=min(CONNECT_TIMEOUT_S, seconds), read=seconds)


def _never_sent(error: Exception) -> bool:
    """Tell whether the connection was not even made, so that the participant has seen nothing of the request."""
    return isinstance(error, NewConnectionError | ConnectTimeoutError)


def _in_words(error: Exception, timeout_s: float) -> str:
    if _never_sent(error):
        return "no connection could be made"
    if isinstance(error, ReadTimeoutError):
        return f"no answer within {timeout_s:g} s"
    return "the connection was lost before the answer"


def _understood(content: bytes | None) -> Mapping[str, Any] | None:
    if content == b"":
        return {}
    if content is None or b"\\u0000" in content:  # NUL is what PostgreSQL cannot keep
        return None
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() else 0.0
