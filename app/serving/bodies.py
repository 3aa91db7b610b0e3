"""The bodies of requests. A request whose body takes too long, or blocks other requests, gets 408."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any, Protocol

import orjson
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, RequestTimeout

#: Longest time for a whole body to arrive, in seconds from the first read.
MAX_BODY_S = 10.0
#: Shortest time that every body has to arrive, in seconds. Later, a body is dropped when another body needs its place.
MIN_BODY_S = 0.2
#: Largest body that is read and dropped before its request gets 413, in bytes. The kernel resets a connection that is
#: closed with unread bytes: the client may lose the answer, and a gateway then answers 502. A larger body is not read.
LARGEST_DROPPED = 8 << 20
BODY_TOO_LATE = "the body did not arrive in time; send the whole request at once"

#: granian's object for a request: it reads the body and sends the answer. Any thread can answer. Only the first answer
#: is sent.
Exchange = Any
Environ = dict[str, Any]
Run = Callable[[Exchange, Environ], None]


class AwaitedBody(Protocol):
    """A body that a request waits for."""

    def give_up(self) -> None:
        """Stop waiting for the body."""


class AwaitedBodies:
    """The bodies that requests wait for, the longest wait first. most: largest number of bodies."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._awaited: dict[AwaitedBody, float] = {}
        self._room = threading.Condition()

    def enter(self, body: AwaitedBody) -> None:
        """Add a body. When there are `most` bodies, first drop the body with the longest wait."""
        with self._room:
            while len(self._awaited) >= self._most:
                first, since = next(iter(self._awaited.items()))
                left_s = MIN_BODY_S - (self._clock() - since)
                if left_s > 0:
                    self._room.wait(left_s)
                else:
                    self._drop(first)
            self._awaited[body] = self._clock()

    def leave(self, body: AwaitedBody) -> None:
        """Remove a body that has arrived or is given up."""
        with self._room:
            self._awaited.pop(body, None)
            self._room.notify()

    def drop_overdue(self, after_s: float = MAX_BODY_S) -> None:
        """Answer 408 to the requests whose body has been awaited for `after_s` seconds or longer."""
        with self._room:
            for body, since in list(self._awaited.items()):
                if self._clock() - since < after_s:
                    return
                self._drop(body)

    def _drop(self, body: AwaitedBody) -> None:
        del self._awaited[body]
        self._room.notify()
        body.give_up()


class Body:
    """The body of a request, read as a whole when the application first reads it."""

    def __init__(self, exchange: Exchange, length: str, bodies: AwaitedBodies, largest: int) -> None:
        self._exchange, self._bodies, self._largest = exchange, bodies, largest
        self._length = int(length) if length.isdecimal() else None
        self._arrival, self._given_up = threading.Lock(), False
        self._read: BytesIO | None = None
        self._begun = False

    def read(self, size: int | None = -1) -> bytes:
        return self._whole().read(size)

    def readline(self, size: int | None = -1) -> bytes:
        return self._whole().readline(size)

    def give_up(self) -> None:
        """Stop waiting for the body."""
        self._given_up = True
        self._arrival.release()

    def drop(self) -> None:
        """Read and drop a body that the application has not read, so that its client gets the answer."""
        if not self._begun and (self._length or 0) <= LARGEST_DROPPED:
            self._largest = 0
            with suppress(RequestEntityTooLarge, RequestTimeout, ClientDisconnected):
                self._whole()

    def _whole(self) -> BytesIO:
        if self._read is None:
            if self._length is not None and self._length > LARGEST_DROPPED:
                raise RequestEntityTooLarge
            whole = self._length is not None and self._length <= self._largest
            self._begun = True
            self._arrival.acquire()
            self._bodies.enter(self)
            try:
                self._read = BytesIO(self._wait_for(self._exchange()) if whole else self._in_chunks())
            finally:
                self._bodies.leave(self)
        return self._read

    def _in_chunks(self) -> bytes:
        chunks, size = [], 0
        stream = self._exchange.__aiter__()
        while chunk := self._wait_for(stream.__anext__()):
            size += len(chunk)
            if size > LARGEST_DROPPED:
                raise RequestEntityTooLarge
            if size <= self._largest:
                chunks.append(chunk)
        if size > self._largest:
            raise RequestEntityTooLarge
        return b"".join(chunks)

    def _wait_for(self, coming: Any) -> bytes:
        """Wait for one of granian's futures in this thread, until `give_up` is called."""
        coming.add_done_callback(self._arrived)
        self._arrival.acquire()
        if self._given_up:
            coming.cancel()  # granian drops the body, and with it the connection
            raise RequestTimeout(BODY_TOO_LATE)
        return _received(coming)

    def _arrived(self, _coming: Any) -> None:
        if not self._given_up:
            self._arrival.release()


class BodyReadAhead:
    """A small body that is read before its request gets a thread, so that the wait needs no thread."""

    def __init__(self, exchange: Exchange, request: Environ, run: Run, bodies: AwaitedBodies) -> None:
        self._exchange, self._request, self._run, self._bodies = exchange, request, run, bodies
        self._coming: Any = None

    def start(self) -> None:
        """Begin to read the body. When the body has arrived, the request runs."""
        self._coming = self._exchange()
        self._bodies.enter(self)
        self._coming.add_done_callback(self._arrived)

    def give_up(self) -> None:
        """Stop waiting for the body."""
        self._coming.cancel()  # granian drops the body, and with it the connection

    def _arrived(self, coming: Any) -> None:
        """Run the request when its body has arrived, or answer 408 when it came too late."""
        self._bodies.leave(self)
        self._coming = None  # the future refers to this object: see _received
        if coming.cancelled():
            return answer_problem(self._exchange, 408, RequestTimeout().name, BODY_TOO_LATE)
        try:
            self._request["wsgi.input"] = BytesIO(_received(coming))
        except ClientDisconnected:
            return None
        return self._run(self._exchange, self._request)


def _received(coming: Any) -> bytes:
    """Return the bytes that a future of granian got. Raise ClientDisconnected when the connection was lost.

    The future keeps its error. With a traceback, the error would keep this frame, and so the future. Python's garbage
    collector does not see what a future of granian refers to, so it never frees such a cycle.
    """
    try:
        body: bytes = coming.result()
    except RuntimeError as error:
        error.__traceback__ = None
        raise ClientDisconnected from error
    return body


def answer_problem(
    exchange: Exchange, status: int, title: str, detail: str, more: Sequence[tuple[str, str]] = ()
) -> None:
    """Answer with a problem (RFC 9457) without the application, and close the connection."""
    body = orjson.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail})
    headers = [("Content-Type", "application/problem+json"), ("Connection", "close"), *more]
    exchange.response_bytes(status, headers, body)
