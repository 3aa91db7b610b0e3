"""One request and its reply over a connection that stays open.

requests keeps the connections: their pools, certificates and limits. What is said over one is ours, for its layers for
proxies, redirects, cookies and streams take ten times as long as the exchange itself, four times a saga (ADR 19).
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

from app.dialing import Dialer
from app.participants.connection import IDLE_S, Connection, NotSentError, SecureConnection
from app.values import UnreadableError

#: A reply beyond this, head and all, is not read to its end.
LARGEST_REPLY_BYTES = 1 << 20
_LARGEST = f"{LARGEST_REPLY_BYTES:,} bytes"
_PIECE_BYTES = 8192  # holds most replies; malloc takes several times as long for a buffer of 64 KiB
_UNCODED = "send it without a content coding"
_ZLIB = frozenset({b"gzip", b"x-gzip", b"deflate"})
_FINAL = 200  # what is below comes before the reply


class LostError(Exception):
    """The connection ended, or what came is no HTTP: the request may have been heard. The text says which."""


class Answer:
    """What the parser has heard so far. `whole`: to its end. `stays`: the connection can serve again.
    headers: their names in lower case.
    """

    def __init__(self) -> None:
        self.status, self.headers, self.body = 0, dict[bytes, bytes](), b""
        self.heard_bytes = 0
        self.whole = self.stays = False
        self._parser: HttpResponseParser | None = HttpResponseParser(self)

    def hear(self, data: bytes) -> None:
        """Take what was received; nothing (b"") is the end of the connection. Raises LostError."""
        assert self._parser
        self.heard_bytes += len(data)
        if data:
            try:
                self._parser.feed_data(data)
            except (HttpParserError, HttpParserUpgrade) as error:
                if not self.whole:
                    raise LostError("what came is no HTTP") from error
                self.stays = False
        elif self.status >= _FINAL and not self.headers.keys() & {b"content-length", b"transfer-encoding"}:
            self.whole, self.stays = True, False
        else:
            raise LostError("closed by the participant")
        if self.whole:
            self._parser = None  # which holds this answer: thousands of such rings a second are work for the collector

    def content(self) -> bytes:
        """Return the body without its content coding, of which none was asked for. Raise UnreadableError."""
        coding = self.headers.get(b"content-encoding")
        if not coding or not self.body or coding.lower() == b"identity":
            return self.body
        if coding.lower() not in _ZLIB:
            raise UnreadableError(f"its Content-Encoding is {coding[:40].decode('ascii', 'replace')}", _UNCODED)
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: gzip or zlib, whichever it is
        with suppress(zlib.error):
            content = decoder.decompress(self.body, LARGEST_REPLY_BYTES)
            if decoder.eof and not decoder.unused_data:
                return content
        raise UnreadableError(f"its {coding.decode()} body is broken, or larger than {_LARGEST}", _UNCODED)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        assert self._parser
        self.status, self.stays = self._parser.get_status_code(), self._parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_begin(self) -> None:
        if self.whole:
            # This stops the parser: one reply was asked for, and there is more.
            raise LostError("more came than one reply")

    def on_message_complete(self) -> None:
        if self.status < _FINAL:
            self.headers = {}
        else:
            self.whole = self.heard_bytes <= LARGEST_REPLY_BYTES


class _Idle:
    """The idle connections of a pool that never blocks: a LifoQueue without the locks that waiting needs."""

    def __init__(self, maxsize: int) -> None:
        self._most, self._idle = maxsize, deque[Any]()

    def get(self, block: bool = False, timeout: float | None = None) -> Any:  # noqa: ARG002  urllib3's
        try:
            return self._idle.pop()
        except IndexError:
            raise Empty from None

    def put(self, connection: Any, block: bool = False) -> None:  # noqa: ARG002  urllib3's
        if len(self._idle) >= self._most:
            raise Full
        self._idle.append(connection)

    def qsize(self) -> int:
        return len(self._idle)


class ExchangePool(HTTPConnectionPool):
    """Connections to one origin."""

    QueueCls = _Idle  # type: ignore[assignment]  # all that urllib3 uses of a queue
    ConnectionCls = Connection
    dialer: Dialer

    def exchange(self, said: bytes, timeout_s: float, clock: Callable[[], float]) -> Answer:
        """Send a whole request at once (one packet, one waking of who reads it) and hear its answer, which is not
        `whole` when it is too large. All of it, connecting included, takes `timeout_s` at most. Raises NotSentError,
        LostError, TimeoutError.
        """
        started = clock()
        deadline, connection, answer = started + timeout_s, cast("Connection", self._get_conn()), Answer()
        if connection.sock is not None and started - connection.idle_since > IDLE_S:
            connection.close()
        used_before = connection.sock is not None
        try:
            if not used_before:
                connection.open(self.dialer, deadline, clock)
            _send(connection.sock, said, deadline, clock)
            _hear(connection.sock, answer, deadline, clock)
        except (TimeoutError, LostError):
            if used_before:
                self.drop_idle()
            raise
        finally:
            if answer.whole and answer.stays:
                connection.idle_since = clock()
                self._put_conn(connection)
            else:
                connection.close()
        return answer

    def drop_idle(self) -> None:
        """Close every idle connection, so that the retry gets a fresh one.

        One of them has just failed, and whatever ended it (a NAT that forgot, a host that died) may have ended all.
        """
        assert self.pool is not None
        with suppress(Empty):
            while True:
                if idle := self.pool.get():
                    idle.close()


class SecureExchangePool(ExchangePool, HTTPSConnectionPool):
    """The same over TLS."""

    ConnectionCls = SecureConnection


class ExchangeAdapter(HTTPAdapter):
    """requests' own, whose pools exchange. ca_file: certificates that are trusted beside the public ones."""

    def __init__(self, dialer: Dialer, *, ca_file: str | None = None, connections: int = 10) -> None:
        self._dialer, self._ca_file = dialer, ca_file
        super().__init__(pool_connections=connections, pool_maxsize=connections)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": ExchangePool, "https": SecureExchangePool}

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        """One for all connections: to read the public certificates takes 10 ms."""
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
    """Give what the Host header says: without who one is."""
    return urlsplit(origin).netloc.rpartition("@")[2]


def _send(sock: socket.socket, said: bytes, deadline: float, clock: Callable[[], float]) -> None:
    """Send all of it before the deadline. `sendall` over TLS gives each piece the whole timeout anew."""
    left = deadline - clock()
    if left <= 0:
        raise NotSentError("the time was over when the connection had been made")
    try:
        sock.settimeout(left)
        sent = sock.send(said)
        while sent < len(said):
            sock.settimeout(_left(deadline, clock()))
            sent += sock.send(memoryview(said)[sent:])
    except OSError as error:
        raise _lost(error) from error


def _hear(sock: socket.socket, answer: Answer, deadline: float, clock: Callable[[], float]) -> None:
    """Read until the answer is whole, or larger than it may be."""
    try:
        while not answer.whole and answer.heard_bytes <= LARGEST_REPLY_BYTES:
            # Each piece has what is left: a participant that drips bytes would hold the saga beyond its lease.
            sock.settimeout(_left(deadline, clock()))
            answer.hear(sock.recv(_PIECE_BYTES))
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
