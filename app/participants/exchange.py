"""One request and its reply over a connection that stays open.

requests keeps the connections: their pools, certificates and limits. What is said over one is ours, for its layers for
proxies, redirects, cookies and streams take ten times as long as the exchange itself, four times a saga (ADR 19).
"""

from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

#: A reply beyond this, head and all, is not read to its end.
LARGEST_REPLY_BYTES = 1 << 20
CONNECT_TIMEOUT_S = 2.0
_PIECE_BYTES = 65_536
_FINAL = 200  # what is below comes before the reply


class NotSentError(Exception):
    """No connection could be made: nothing has left this process."""


class LostError(Exception):
    """The connection ended, or what came is no HTTP: the request may have been heard."""


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
                    raise LostError from error
                self.stays = False
        elif self.status >= _FINAL and not self.headers.keys() & {b"content-length", b"transfer-encoding"}:
            self.whole, self.stays = True, False
        else:
            raise LostError
        if self.whole:
            self._parser = None  # which holds this answer: thousands of such rings a second are work for the collector

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        assert self._parser
        self.status, self.stays = self._parser.get_status_code(), self._parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_begin(self) -> None:
        if self.whole:
            raise LostError  # which stops the parser: one reply was asked for, and there is more

    def on_message_complete(self) -> None:
        if self.status < _FINAL:
            self.headers = {}
        else:
            self.whole = self.heard_bytes <= LARGEST_REPLY_BYTES


class ExchangePool(HTTPConnectionPool):
    """Connections to one origin."""

    def exchange(self, said: bytes, timeout_s: float, clock: Callable[[], float]) -> Answer:
        """Send a whole request at once (one packet, one waking of who reads it) and hear its answer, which is not
        `whole` when it is too large. Raises NotSentError, LostError, TimeoutError.
        """
        deadline = clock() + timeout_s
        connection, answer = cast("HTTPConnection", self._get_conn()), Answer()
        try:
            if connection.sock is None:
                _connect(connection, timeout_s)
            connection.sock.sendall(said)
            while not answer.whole and answer.heard_bytes <= LARGEST_REPLY_BYTES:
                # Each piece has what is left: a participant that drips bytes would hold the saga beyond its lease.
                connection.sock.settimeout(_left(deadline, clock()))
                answer.hear(connection.sock.recv(_PIECE_BYTES))
        except TimeoutError:
            raise
        except OSError as error:
            raise LostError from error
        finally:
            if answer.whole and answer.stays:
                self._put_conn(connection)
            else:
                connection.close()
        return answer


class SecureExchangePool(ExchangePool, HTTPSConnectionPool):
    """The same over TLS."""


class ExchangeAdapter(HTTPAdapter):
    """requests' own, whose pools exchange."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": ExchangePool, "https": SecureExchangePool}

    def pool(self, origin: str) -> ExchangePool:
        """Give the pool that requests would use for this origin, certificates and all."""
        anything = requests.Request("GET", origin).prepare()
        found = self.get_connection_with_tls_context(anything, verify=True, proxies={})
        self.cert_verify(found, origin, verify=True, cert=None)  # type: ignore[no-untyped-call]
        return cast("ExchangePool", found)


def host_of(origin: str) -> str:
    """Give what the Host header says: without who one is."""
    return urlsplit(origin).netloc.rpartition("@")[2]


def _connect(connection: HTTPConnection, timeout_s: float) -> None:
    connection.timeout = min(CONNECT_TIMEOUT_S, timeout_s)
    try:
        connection.connect()
    except (HTTPError, OSError) as error:
        raise NotSentError from error
    connection.sock.settimeout(timeout_s)


def _left(deadline: float, now: float) -> float:
    if now >= deadline:
        raise TimeoutError
    return deadline - now
