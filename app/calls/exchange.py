"""One request and its reply over a connection that stays open.

The library requests manages the connections: their pools, certificates and limits. The exchange over a connection is
our own code, because the library's layers for proxies, redirects, cookies and streams take ten times as long as the
exchange (ADR 19).
"""

import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from math import inf
from queue import Empty, Full
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

from app.calls.answer import FINAL, LARGEST, LARGEST_REPLY_BYTES, Answer, LostError
from app.calls.connection import IDLE_S, Connection, NotSentError, Route, SecureConnection, lost
from app.calls.trust import Trust

#: Largest number of bytes of the first read, and of each further one. A read holds its buffer while it waits. So the
#: first one is small, because thousands of calls may wait; most replies fit. malloc is several times slower for 64 KiB.
_FIRST_BYTES, _PIECE_BYTES = 1024, 8192


class _Idle:
    """The idle connections of a pool. It replaces a LifoQueue and never blocks, so it needs no locks."""

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
    route: Route
    trust: Trust

    def exchange(self, request_bytes: bytes, timeout_s: float, clock: Callable[[], float]) -> Answer:
        """Send a request and return its answer. timeout_s: limit for the whole exchange, with opening a connection.

        Head and body are sent together, so that they often fit into one packet. An answer that is too large is not
        `complete`. Raise NotSentError, LostError or TimeoutError.
        """
        started = clock()
        deadline, answer = started + timeout_s, Answer()
        connection: Any = self._get_conn()  # a Connection
        if connection.sock is not None and started - connection.idle_since > IDLE_S:
            connection.close()
        used_before = connection.sock is not None
        try:
            if not used_before:
                connection.open(self.route, self.trust, deadline, clock)
            unsent = _send(connection.sock, request_bytes, deadline, clock)
            _receive(connection.sock, answer, deadline, clock, unsent, first=not used_before)
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
        """Close every idle connection, so that a retry opens a new one.

        A reused connection has just failed. The cause, such as a NAT gateway that forgot its connections or a dead
        host, may have broken all idle connections.
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
    """The adapter of the library requests, with our own pools.

    Participants with equal routes and certificates share it.
    """

    def __init__(self, route: Route, trust: Trust, *, connections: int = 10) -> None:
        self._route, self._trust = route, trust
        super().__init__(pool_connections=connections, pool_maxsize=connections)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": ExchangePool, "https": SecureExchangePool}

    def pool(self, origin: str) -> ExchangePool:
        """Return the pool of connections to this origin."""
        anything = requests.Request("GET", origin).prepare()
        found = cast("ExchangePool", self.get_connection_with_tls_context(anything, verify=True, proxies={}))
        found.route, found.trust = self._route, self._trust
        if found.scheme == "https":
            with suppress(OSError):  # the first connection raises it again, with its reason
                self._trust.context(-inf)  # load it now, so that the first call does not spend its time on it
        return found


def _send(sock: socket.socket, request_bytes: bytes, deadline: float, clock: Callable[[], float]) -> OSError | None:
    """Send all bytes before the deadline. Return the error when the participant closed the connection before the end.

    After such an error an answer may still be there, because a server can refuse a request after reading its head.
    `sendall` is not used: over TLS it applies the whole timeout to each piece.
    """
    left = deadline - clock()
    if left <= 0:
        raise NotSentError("the time was over when the connection had been made")
    try:
        sock.settimeout(left)
        sent = sock.send(request_bytes)
        while sent < len(request_bytes):
            sock.settimeout(_left(deadline, clock()))
            sent += sock.send(memoryview(request_bytes)[sent:])
    except TimeoutError:
        raise
    except OSError as error:
        return error
    return None


def _receive(
    sock: socket.socket, answer: Answer, deadline: float, clock: Callable[[], float], unsent: OSError | None, *,
    first: bool,
) -> None:  # fmt: skip
    """Read until the answer is complete or exceeds LARGEST_REPLY_BYTES.

    unsent: the error that `_send` returned. first: the connection was not used before.
    """
    try:
        while not answer.complete and answer.received_bytes <= LARGEST_REPLY_BYTES:
            # Each read gets only the time that is left. Otherwise slow single bytes could outlast the saga's lease.
            sock.settimeout(_left(deadline, clock()))
            answer.feed(sock.recv(_PIECE_BYTES if answer.received_bytes else _FIRST_BYTES))
    except OSError as error:
        raise lost(error, first=first and not answer.received_bytes) from error
    except LostError:
        if unsent and not answer.received_bytes:
            raise lost(unsent, first=first) from unsent
        raise
    if unsent:
        answer.keep_alive = False
    if answer.status < FINAL:
        raise LostError(f"its head is larger than {LARGEST}")


def _left(deadline: float, now: float) -> float:
    if now >= deadline:
        raise TimeoutError
    return deadline - now
