"""HTTP/1.1 over http.client, with connections that are used again. This module is not specific to sagas."""

from __future__ import annotations

import http.client
import ssl
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

#: Seconds after which an idle connection is not used again. The service closes a connection that is idle for 30 s.
IDLE_S = 15.0
#: Exceptions of a lost connection or an unreadable answer. OSError includes time-outs and failed TLS handshakes.
LOST = (OSError, http.client.HTTPException)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request. `path` begins below the URL of the service."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Seconds that the service itself may wait before it answers.
    wait_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to a request."""

    status: int
    #: Headers by their names in lower case.
    headers: Mapping[str, str]
    body: bytes
    #: Number of times that the request was sent until this answer.
    attempts: int = 1


class Transport:
    """Sends requests to one service. Any number of threads may use it; each request has a connection of its own.

    timeout_s: longest time without a byte from the service, in addition to the wait that a request asks for.
    """

    def __init__(self, url: str, api_key: str | None, timeout_s: float, tls: ssl.SSLContext | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(
                f"not the URL of a service, such as https://sagas.example: {parts.scheme}://{parts.hostname}"
            )
        if parts.username is not None:
            raise ValueError("the URL must not contain a password; pass the API key as the second argument")
        if api_key is not None and not (api_key.isascii() and api_key.isprintable() and api_key):
            raise ValueError("the API key is empty, or has characters that no API key has")
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path.rstrip("/")
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._api_key, self._timeout_s = api_key, timeout_s
        self._idle: deque[tuple[http.client.HTTPConnection, float]] = deque()

    def send(self, request: Request) -> Answer:
        """Send the request once. Raise one of LOST when there is no whole answer."""
        connection = self._connection()
        try:
            answer = self._exchange(connection, request)
        except BaseException:
            connection.close()
            raise
        if connection.sock is not None:  # None: the service closes the connection after this answer
            self._idle.append((connection, time.monotonic()))
        return answer

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop()[0].close()

    def _exchange(self, connection: http.client.HTTPConnection, request: Request) -> Answer:
        timeout_s = self._timeout_s + request.wait_s
        connection.timeout = timeout_s
        if connection.sock is not None:
            connection.sock.settimeout(timeout_s)
        headers = {"Accept": "application/json", "User-Agent": "saga-client"} | dict(request.headers)
        if self._api_key is not None:
            headers["X-API-Key"] = self._api_key
        connection.request(request.method, self._path + request.path, request.body, headers)
        with connection.getresponse() as response:
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(status=response.status, headers=named, body=response.read())

    def _connection(self) -> http.client.HTTPConnection:
        while self._idle:
            try:
                connection, since = self._idle.pop()
            except IndexError:  # another thread has taken it
                break
            if time.monotonic() - since < IDLE_S:
                return connection
            connection.close()
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port)
        return http.client.HTTPSConnection(self._host, self._port, context=self._tls)
