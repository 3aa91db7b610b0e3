"""Receives each request, translates it to WSGI, and runs it in the application when a thread is free."""

import sys
import threading
from collections import deque
from collections.abc import Iterable
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

import structlog
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout, UnsupportedMediaType
from werkzeug.wsgi import FileWrapper

from app.environ import REPEATED_HEADERS
from app.serving.bodies import AwaitedBodies, Body, BodyReadAhead, Environ, Exchange, Run, answer_problem
from app.serving.large_answers import FILE_BYTES, LARGE_BYTES, Room, peers_behind
from app.values import LARGEST_BATCH

if TYPE_CHECKING:  # the main process serves nothing, and does not import Flask
    from flask import Flask

_log = structlog.get_logger("server")
#: Paths for liveness checks. These requests never wait for other requests.
LIVENESS = frozenset({"/health", "/api/saga/health/"})
#: Paths for monitoring. These requests query the database.
MONITORING = frozenset({"/ready", "/metrics", "/metrics/"})
#: Beginnings of the paths of large answers for everybody.
PUBLIC = ("/openapi.json", "/static/")
#: Largest sum of the large answers that are being sent, in bytes: for everybody, for monitoring, for keys and people.
PUBLIC_ROOM, MONITORING_ROOM, ROOM = 32 << 20, 16 << 20, 64 << 20
_NO_ROOM = "too many large answers are being sent; try again in a few seconds"
_CLIENT = "saga.client"  # variable of a request: address and port of its client
#: Beginning and end of the paths of batches. Only their bodies may have LARGEST_BATCH bytes.
SAGAS, BATCH = "/api/v1/sagas/", "/batch"
#: Largest number of MONITORING requests at once, so that they do not take all threads while the database is slow.
MAX_MONITORING = 4
#: Largest body that is read before its request runs, in bytes. A larger body is read when the application needs it.
MAX_READ_AHEAD_BYTES = 16 * 1024
#: Statuses of answers to requests whose body the application has not read, although it was sent.
_BODY_UNREAD = frozenset({RequestEntityTooLarge.code, UnsupportedMediaType.code})
#: Largest number of connections of one process, beside those of the requests that run at once. A silent connection
#: takes about 10 kB, and granian closes it after 30 s. An incomplete request takes up to 50 kB.
MAX_CONNECTIONS = 2048
#: Largest buffer of one connection, in bytes. A request whose line and headers are larger gets 431. granian's 400 KB
#: let 500 connections with incomplete headers fill the memory of a replica.
CONNECTION_BUFFER_BYTES = 8 * 1024


class Lane:
    """Runs up to `most` requests at once. Further requests wait in a queue and occupy no thread."""

    def __init__(self, most: int, serve: Run) -> None:
        self._most, self._serve = most, serve
        self._running, self._lock = 0, threading.Lock()
        self._waiting: deque[tuple[Exchange, Environ]] = deque()

    def run(self, exchange: Exchange, request: Environ) -> None:
        """Run the request now, or queue it. Then run queued requests in the same thread until there are none."""
        with self._lock:
            if self._running >= self._most:
                self._waiting.append((exchange, request))
                return
            self._running += 1
        while True:
            self._serve(exchange, request)
            with self._lock:
                if not self._waiting:
                    self._running -= 1
                    return
                exchange, request = self._waiting.popleft()


class FrontDoor:
    """Receives each request from granian, in one of its threads, and answers it."""

    def __init__(self, application: "Flask", at_once: int, address: tuple[str, int]) -> None:
        self._application, self._largest = application, application.config["MAX_CONTENT_LENGTH"]
        self.bodies = AwaitedBodies(max(at_once // 4, 1))
        self._monitoring, self._others = Lane(MAX_MONITORING, self._serve), Lane(at_once, self._serve)
        self.read_ahead = AwaitedBodies(MAX_CONNECTIONS)
        self._requires_keys = application.config["API_AUTH"]
        host, port = address
        behind = partial(peers_behind, port)
        self._public_room, self._monitoring_room = Room(PUBLIC_ROOM, behind), Room(MONITORING_ROOM, behind)
        self._room = Room(ROOM, behind)
        self._base: Environ = {
            "SERVER_NAME": host, "SERVER_PORT": str(port), "SCRIPT_NAME": "", "SERVER_SOFTWARE": "Granian",
            "wsgi.errors": sys.stderr, "wsgi.input_terminated": True, "wsgi.multiprocess": False,
            "wsgi.multithread": True, "wsgi.run_once": False, "wsgi.version": (1, 0),
        }  # fmt: skip

    def __call__(self, watcher: Any) -> None:
        exchange = watcher.proto
        try:
            request = self._environ(watcher.scope)
        except ValueError:
            return answer_problem(exchange, 400, "Malformed request", "the path is not UTF-8")
        path = request["PATH_INFO"]
        if path in LIVENESS:
            return self._serve(exchange, request)
        lane = self._monitoring if path in MONITORING else self._others
        length = request.get("CONTENT_LENGTH", "")
        if not length.strip("0") and "HTTP_TRANSFER_ENCODING" not in request:
            return lane.run(exchange, request)
        if self._reads_ahead(request, length):
            return BodyReadAhead(exchange, request, lane.run, self.read_ahead).start()
        largest = LARGEST_BATCH if path.startswith(SAGAS) and path.endswith(BATCH) else self._largest
        request["wsgi.input"] = Body(exchange, length, self.bodies, largest)
        return lane.run(exchange, request)

    def _reads_ahead(self, request: Environ, length: str) -> bool:
        """Return True for a small JSON body of an API request, if the request has an API key or needs none.

        A form of the admin pages is not read ahead, because a sender without a session is refused first.
        """
        if not request["PATH_INFO"].startswith("/api/"):
            return False
        has_key = not self._requires_keys or "HTTP_X_API_KEY" in request or "HTTP_AUTHORIZATION" in request
        small = length.isdecimal() and int(length) <= MAX_READ_AHEAD_BYTES
        return small and has_key and request.get("CONTENT_TYPE", "").startswith("application/json")

    def _environ(self, scope: Any) -> Environ:
        """Return the request in the form of PEP 3333. Raise ValueError for a path that is not UTF-8."""
        path, query, host = scope.path, scope.query_string, scope.client.rpartition(":")[0]
        request = self._base.copy()
        request["REQUEST_METHOD"] = scope.method
        request["PATH_INFO"] = path if path.isascii() else path.encode().decode("latin-1")
        request["QUERY_STRING"] = query if query.isascii() else query.encode().decode("latin-1")
        request["SERVER_PROTOCOL"] = f"HTTP/{scope.http_version}"
        request[_CLIENT] = scope.client
        request["REMOTE_ADDR"] = host[1:-1] if host[:1] == "[" else host
        request["wsgi.url_scheme"] = scope.scheme
        request["wsgi.input"] = BytesIO()
        add_headers(request, scope.headers)
        if "HTTP_HOST" not in request:
            request["HTTP_HOST"] = scope.authority or ""
        return request

    def _serve(self, exchange: Exchange, request: Environ) -> None:
        answer: list[Any] = [500, []]

        def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> Any:
            answer[:] = int(status[:3]), headers

        try:
            chunks = self._application(request, start_response)
            status, headers = answer
            if status == RequestTimeout.code:
                headers.append(("Connection", "close"))
            if status in _BODY_UNREAD and isinstance(body := request["wsgi.input"], Body):
                body.drop()
            if isinstance(chunks, FileWrapper) and isinstance(name := getattr(chunks.file, "name", None), str):
                chunks.close()
                size = int(dict(headers).get("Content-Length", FILE_BYTES))
                if size < LARGE_BYTES or self._finds_room(exchange, request, min(size, FILE_BYTES)):
                    exchange.response_file(status, headers, name)  # in a thread of granian, at the speed of the client
            else:
                body = _joined(chunks)
                if len(body) < LARGE_BYTES or self._finds_room(exchange, request, len(body)):
                    exchange.response_bytes(status, headers, body)
        except Exception:  # noqa: BLE001  the thread must continue with other requests
            _log.exception("request.crashed")
            answer_problem(exchange, 500, "Internal error", "the request could not be answered; the log says why")

    def _finds_room(self, exchange: Exchange, request: Environ, size: int) -> bool:
        """Take room for a large answer. Answer 503 and return False when there is none."""
        path = request["PATH_INFO"]
        room = self._monitoring_room if path in MONITORING else self._room
        if path.startswith(PUBLIC):
            room = self._public_room
        if room.take(request[_CLIENT], size):
            return True
        answer_problem(exchange, 503, "Service Unavailable", _NO_ROOM, [("Retry-After", "5")])
        return False


def add_headers(request: Environ, headers: Any) -> None:
    """Add the headers of a request under the names of PEP 3333. Also add the names of repeated headers."""
    different = 0
    for name, value in headers.items():
        variable = _VARIABLES.get(name) or _variable(name)
        if variable in request:
            request[variable] += f"{';' if name == 'cookie' else ','}{value}"
            request[REPEATED_HEADERS] = request.get(REPEATED_HEADERS, frozenset()) | {name}
        else:
            request[variable] = value
            different += 1
    if different < len(headers):  # items() of granian's headers omits a header whose value is not text
        for name in headers.keys():  # noqa: SIM118  it is no mapping
            request.setdefault(_VARIABLES.get(name) or _variable(name), "")


def _variable(name: str) -> str:
    return f"HTTP_{name.upper().replace('-', '_')}"


#: Name of a frequent header → its variable in WSGI. Only CONTENT_TYPE and CONTENT_LENGTH have no HTTP_ prefix.
_VARIABLES = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"} | {
    name: _variable(name)
    for name in (
        "host", "user-agent", "accept", "accept-encoding", "connection", "authorization", "x-api-key", "cookie",
        "idempotency-key", "prefer", "x-forwarded-for", "x-forwarded-proto", "traceparent",
    )
}  # fmt: skip


def _joined(chunks: Iterable[bytes]) -> bytes:
    try:
        return b"".join(chunks)
    finally:
        if close := getattr(chunks, "close", None):
            close()
