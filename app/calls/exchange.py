"""One request and its reply over a connection that stays open.

requests manages the connections: their pools, certificates and limits. The exchange over a connection is our own code:
requests' layers for proxies, redirects, cookies and streams would take ten times as long as the exchange itself, four
times per saga (ADR 19).
"""

import socket
import ssl
import zlib
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from queue import Empty, Full
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from requests.adapters import DEFAULT_CA_BUNDLE_PATH, HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssl_ import create_urllib3_context

from app.calls.connection import IDLE_S, Connection, NotSentError, SecureConnection
from app.dialing import Dialer
from app.values import UnreadableError

#: Largest reply that is read to its end, with its head, in bytes.
LARGEST_REPLY_BYTES = 1 << 20
_LARGEST = f"{LARGEST_REPLY_BYTES:,} bytes"
_PIECE_BYTES = 8192  # holds most replies; for a buffer of 64 KiB malloc takes several times as long
_UNCODED = "send it without a content coding"
_ZLIB = frozenset({b"gzip", b"x-gzip", b"deflate"})
_FINAL = 200  # a status below is informational: the reply follows


class LostError(Exception):
    """The connection ended, or the answer is not HTTP: the request may have arrived. The text says which."""


class Answer:
    """The answer, as far as the parser has read it.

    complete: it was read to its end. keep_alive: the connection can be used again. headers: by name in lower case.
    """

    def __init__(self) -> None:
        self.status, self.headers, self.body = 0, dict[bytes, bytes](), b""
        self.received_bytes = 0
        self.complete = self.keep_alive = False
        self._parser: HttpResponseParser | None = HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Parse received data; b"" means the end of the connection. Raise LostError."""
        assert self._parser
        self.received_bytes += len(data)
        if data:
            try:
                self._parser.feed_data(data)
            except (HttpParserError, HttpParserUpgrade) as error:
                if not self.complete:
                    raise LostError("what came is no HTTP") from error
                self.keep_alive = False
        elif self.status >= _FINAL and not self.headers.keys() & {b"content-length", b"transfer-encoding"}:
            self.complete, self.keep_alive = True, False
        else:
            raise LostError("closed by the participant")
        if self.complete:
            self._parser = None  # breaks a reference cycle: thousands a second would keep the collector busy

    def content(self) -> bytes:
        """Return the body, decoded if it has a content coding, although none was requested. Raise UnreadableError."""
        coding = self.headers.get(b"content-encoding")
        if not coding or not self.body or coding.lower() == b"identity":
            return self.body
        if coding.lower() not in _ZLIB:
            raise UnreadableError(f"its Content-Encoding is {coding[:40].decode('ascii', 'replace')}", _UNCODED)
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: detects gzip or zlib
        with suppress(zlib.error):
            content = decoder.decompress(self.body, LARGEST_REPLY_BYTES)
            if decoder.eof and not decoder.unused_data:
                return content
        raise UnreadableError(f"its {coding.decode()} body is broken, or larger than {_LARGEST}", _UNCODED)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        assert self._parser
        self.status, self.keep_alive = self._parser.get_status_code(), self._parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_begin(self) -> None:
        if self.complete:
            # Stop the parser, because only one reply was expected.
            raise LostError("more came than one reply")

    def on_message_complete(self) -> None:
        if self.status < _FINAL:
            self.headers = {}
        else:
            self.complete = self.received_bytes <= LARGEST_REPLY_BYTES


class _Idle:
    """The idle connections of a pool that never blocks: a LifoQueue without locks for waiting."""

    def __init__(self, maxsize: int) -> None:
        self._most, self._idle = maxsize, deque[Any]()

    def get(self, block: bool = False, timeout: float | None = None) -> Any:  # noqa: ARG002  urllib3's signature
        try:
            return self._idle.pop()
        except IndexError:
            raise Empty from None

    def put(self, connection: Any, block: bool = False) -> None:  # noqa: ARG002  urllib3's signature
        if len(self._idle) >= self._most:
            raise Full
        self._idle.append(connection)

    def qsize(self) -> int:
        return len(self._idle)


class ExchangePool(HTTPConnectionPool):
    """A pool of connections to one origin."""

    QueueCls = _Idle  # type: ignore[assignment]  # has every method of a queue that urllib3 uses
    ConnectionCls = Connection
    dialer: Dialer

    def exchange(self, request_bytes: bytes, timeout_s: float, clock: Callable[[], float]) -> Answer:
        """Send a request and return its answer, within `timeout_s` for everything, including the connection.

        The request is sent at once: one packet wakes its reader once. A too large answer is not `complete`. Raise
        NotSentError, LostError or TimeoutError.
        """
        started = clock()
        deadline, connection, answer = started + timeout_s, cast("Connection", self._get_conn()), Answer()
        if connection.sock is not None and started - connection.idle_since > IDLE_S:
            connection.close()
        used_before = connection.sock is not None
        try:
            if not used_before:
                connection.open(self.dialer, deadline, clock)
            _send(connection.sock, request_bytes, deadline, clock)
            _receive(connection.sock, answer, deadline, clock)
        except (TimeoutError, LostError):
            if used_before:
                self.drop_idle()
            raise
        finally:
            if answer.complete and answer.keep_alive:
                connection.idle_since = clock()
                self._put_conn(connection)
            else:
                connection.close()
        return answer

    def drop_idle(self) -> None:
        """Close every idle connection, so that the retry gets a new one.

        One of them has just failed, and the cause (a NAT that forgot, a host that died) may have broken them all.
        """
        assert self.pool is not None
        with suppress(Empty):
            while True:
                if idle := self.pool.get():
                    idle.close()


class SecureExchangePool(ExchangePool, HTTPSConnectionPool):
    """An ExchangePool over TLS."""

    ConnectionCls = SecureConnection


class ExchangeAdapter(HTTPAdapter):
    """requests' adapter with our pools. ca_file: certificates trusted besides the public ones."""

    def __init__(self, dialer: Dialer, *, ca_file: str | None = None, connections: int = 10) -> None:
        self._dialer, self._ca_file = dialer, ca_file
        super().__init__(pool_connections=connections, pool_maxsize=connections)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": ExchangePool, "https": SecureExchangePool}

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        """The TLS context of all connections: reading the public certificates takes 10 ms."""
        context = create_urllib3_context()
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
        if self._ca_file:
            context.load_verify_locations(self._ca_file)
        return context

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        host, options = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, options | ({"ssl_context": self._trust} if host["scheme"] == "https" else {})

    def pool(self, origin: str) -> ExchangePool:
        """Return the pool that requests would use for this origin."""
        anything = requests.Request("GET", origin).prepare()
        found = cast("ExchangePool", self.get_connection_with_tls_context(anything, verify=True, proxies={}))
        found.dialer = self._dialer
        return found


def host_of(origin: str) -> str:
    """Return the Host header of an origin: without user name and password."""
    return urlsplit(origin).netloc.rpartition("@")[2]


def _send(sock: socket.socket, request_bytes: bytes, deadline: float, clock: Callable[[], float]) -> None:
    """Send everything before the deadline. Over TLS, `sendall` would apply the whole timeout to each piece."""
    left = deadline - clock()
    if left <= 0:
        raise NotSentError("the time was over when the connection had been made")
    try:
        sock.settimeout(left)
        sent = sock.send(request_bytes)
        while sent < len(request_bytes):
            sock.settimeout(_left(deadline, clock()))
            sent += sock.send(memoryview(request_bytes)[sent:])
    except OSError as error:
        raise _lost(error) from error


def _receive(sock: socket.socket, answer: Answer, deadline: float, clock: Callable[[], float]) -> None:
    """Read until the answer is complete, or larger than allowed."""
    try:
        while not answer.complete and answer.received_bytes <= LARGEST_REPLY_BYTES:
            # Each read gets only the time that is left: a participant that drips bytes would outlast the saga's lease.
            sock.settimeout(_left(deadline, clock()))
            answer.feed(sock.recv(_PIECE_BYTES))
    except OSError as error:
        raise _lost(error) from error
    if answer.status < _FINAL:
        raise LostError(f"its head is larger than {_LARGEST}")


def _left(deadline: float, now: float) -> float:
    if now >= deadline:
        raise TimeoutError
    return deadline - now


def _lost(error: OSError) -> Exception:
    if isinstance(error, TimeoutError):
        return error
    return LostError("reset by the participant" if isinstance(error, ConnectionError) else str(error.strerror or error))
