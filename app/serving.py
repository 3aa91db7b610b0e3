"""The way of a request to the application in `python -m app`: its thread, its queue, and the time for its body.

granian's WSGI server waits for a body in the request's thread, without a time limit (upstream issue 728 is closed as
"won't fix"). Its RSGI server can abandon a body, so its connections are used here, with WSGI threads. A request runs
only when there is room for it, and otherwise waits without a thread. A body that does not come in time, or that blocks
others, is answered with 408. ADR 28 has the reasons and the measurements.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any, Protocol

import orjson
import structlog
from granian._granian import CallbackScheduler, RSGIWorker
from granian._signals import set_sync_signals
from granian.server.mp import WorkerProcess
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, RequestTimeout
from werkzeug.wsgi import FileWrapper

from app.config import Config
from app.environ import REPEATED_HEADERS
from app.settings import DEFAULT_HOST

if TYPE_CHECKING:  # the main process serves nothing, and does not import Flask
    from flask import Flask

_log = structlog.get_logger("server")
#: Paths for those who watch the process. They run beside all other requests and never wait for them.
HEALTH = frozenset({"/health", "/api/saga/health/"})
WATCHED = frozenset({"/ready", "/metrics", "/metrics/"})
#: Most WATCHED requests at once. They query the database, which may be slow.
WATCHED_AT_ONCE = 4
#: Threads for HEALTH, and for handing over other requests.
SPARE = 4
#: Seconds from the first read within which a whole body must come.
BODY_S = 10.0
#: Seconds after which an awaited body can be dropped for another one, when all places are taken.
GIVES_WAY_AFTER_S = 0.2
TOO_LATE = "the body did not come in time; send the whole request at once"
#: Largest body that is read before its request runs, in bytes; a larger one is read when the application needs it.
LARGEST_AHEAD = 16 * 1024
#: Seconds between two checks for overdue bodies, and for the parent process.
LOOK_S = 0.5
DEFAULT_PORT = "8009"
#: Connections of one process. granian closes a silent one after 30 s; until then each takes about 10 kB.
CONNECTIONS = 4096


#: granian's side of a request: its body, and its answer, which any thread may send. Only the first answer is sent.
Exchange = Any
Environ = dict[str, Any]
Serve = Callable[[Exchange, Environ], None]


def threads_of(config: Config) -> int:
    """Return how many threads granian needs for one process."""
    return at_once(config) + WATCHED_AT_ONCE + SPARE


def at_once(config: Config) -> int:
    """Return how many requests run at once: all that may wait for their sagas, and as many others."""
    return 2 * config.requests


class Lane:
    """Runs up to `most` requests at once. Further requests queue in order, without a thread."""

    def __init__(self, most: int, serve: Serve) -> None:
        self._most, self._serve = most, serve
        self._running, self._lock = 0, threading.Lock()
        self._waiting: deque[tuple[Exchange, Environ]] = deque()

    def run(self, exchange: Exchange, request: Environ) -> None:
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


class Awaited(Protocol):
    def give_up(self) -> None:
        """Stop waiting for the body."""


class Bodies:
    """The awaited bodies, the longest awaited first."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._awaited: dict[Awaited, float] = {}
        self._room = threading.Condition()

    def enter(self, body: "Awaited") -> None:
        """Take a place. When all are taken, drop the body that has been awaited longest."""
        with self._room:
            while len(self._awaited) >= self._most:
                first, since = next(iter(self._awaited.items()))
                left_s = GIVES_WAY_AFTER_S - (self._clock() - since)
                if left_s > 0:
                    self._room.wait(left_s)
                else:
                    self._drop(first)
            self._awaited[body] = self._clock()

    def leave(self, body: "Awaited") -> None:
        with self._room:
            self._awaited.pop(body, None)
            self._room.notify()

    def drop_overdue(self, after_s: float = BODY_S) -> None:
        """Answer 408 to the requests whose body has been awaited too long."""
        with self._room:
            for body, since in list(self._awaited.items()):
                if self._clock() - since < after_s:
                    return
                self._drop(body)

    def _drop(self, body: "Awaited") -> None:
        del self._awaited[body]
        self._room.notify()
        body.give_up()


class Body:
    """The body of a request, read as a whole when the application first reads it."""

    def __init__(self, exchange: Exchange, length: str, bodies: Bodies, largest: int) -> None:
        self._exchange, self._bodies, self._largest = exchange, bodies, largest
        self._length = int(length) if length.isdecimal() else None
        self._came, self._given_up = threading.Lock(), False
        self._awaited: Any = None
        self._read: BytesIO | None = None

    def read(self, size: int | None = -1) -> bytes:
        return self._whole().read(size)

    def readline(self, size: int | None = -1) -> bytes:
        return self._whole().readline(size)

    def give_up(self) -> None:
        """Stop waiting for the body."""
        self._given_up = True
        self._came.release()

    def _whole(self) -> BytesIO:
        if self._read is None:
            if self._length is not None and self._length > self._largest:
                raise RequestEntityTooLarge
            self._came.acquire()
            self._bodies.enter(self)
            try:
                self._read = BytesIO(self._in_chunks() if self._length is None else self._wait_for(self._exchange()))
            except RuntimeError as error:  # granian's error for a lost connection
                raise ClientDisconnected from error
            finally:
                self._bodies.leave(self)
        return self._read

    def _in_chunks(self) -> bytes:
        chunks, size = [], 0
        stream = self._exchange.__aiter__()
        while chunk := self._wait_for(stream.__anext__()):
            chunks.append(chunk)
            size += len(chunk)
            if size > self._largest:
                raise RequestEntityTooLarge
        return b"".join(chunks)

    def _wait_for(self, coming: Any) -> bytes:
        """Wait for one of granian's futures in this thread, until `give_up` is called."""
        coming.add_done_callback(self._arrived)
        self._came.acquire()
        if self._given_up:
            coming.cancel()  # granian drops the body, and with it the connection
            raise RequestTimeout(TOO_LATE)
        came: bytes = coming.result()
        return came

    def _arrived(self, _coming: Any) -> None:
        if not self._given_up:
            self._came.release()


class Ahead:
    """A small body that is read before its request gets a thread, so that the wait needs no thread."""

    def __init__(self, exchange: Exchange, request: Environ, lane: Lane, bodies: Bodies) -> None:
        self._exchange, self._request, self._lane, self._bodies = exchange, request, lane, bodies
        self._coming: Any = None

    def begin(self) -> None:
        self._coming = self._exchange()
        self._bodies.enter(self)
        self._coming.add_done_callback(self._arrived)

    def give_up(self) -> None:
        self._coming.cancel()  # granian drops the body, and with it the connection

    def _arrived(self, coming: Any) -> None:
        """Run the request in granian's thread that received the body."""
        self._bodies.leave(self)
        if coming.cancelled():
            return _answer(self._exchange, 408, RequestTimeout().name, TOO_LATE)
        try:
            self._request["wsgi.input"] = BytesIO(coming.result())
        except RuntimeError:  # granian's error for a lost connection
            return None
        return self._lane.run(self._exchange, self._request)


class FrontDoor:
    """Receives each request from granian, in one of its threads, and answers it."""

    def __init__(self, application: "Flask", at_once: int, address: tuple[str, int]) -> None:
        self._application, self._largest = application, application.config["MAX_CONTENT_LENGTH"]
        self.bodies = Bodies(max(at_once // 4, 1))
        self._watched, self._others = Lane(WATCHED_AT_ONCE, self._serve), Lane(at_once, self._serve)
        self.ahead = Bodies(CONNECTIONS)
        self._asks_for_keys = application.config["API_AUTH"]
        host, port = address
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
            return _answer(exchange, 400, "Malformed request", "the path is not UTF-8")
        path = request["PATH_INFO"]
        if path in HEALTH:
            return self._serve(exchange, request)
        lane = self._watched if path in WATCHED else self._others
        length = request.get("CONTENT_LENGTH", "")
        if not length.strip("0") and "HTTP_TRANSFER_ENCODING" not in request:
            return lane.run(exchange, request)
        if self._reads_ahead(request, length):
            return Ahead(exchange, request, lane, self.ahead).begin()
        request["wsgi.input"] = Body(exchange, length, self.bodies, self._largest)
        return lane.run(exchange, request)

    def _reads_ahead(self, request: Environ, length: str) -> bool:
        """Return True for a small API body whose sender shows a key where one is required.

        A form is not read ahead: a sender without a session is refused before any of it is read.
        """
        if not request["PATH_INFO"].startswith("/api/"):
            return False
        names_itself = not self._asks_for_keys or "HTTP_X_API_KEY" in request or "HTTP_AUTHORIZATION" in request
        small = length.isdecimal() and int(length) <= LARGEST_AHEAD
        return small and names_itself and request.get("CONTENT_TYPE", "").startswith("application/json")

    def _environ(self, scope: Any) -> Environ:
        """Return the request in the form of PEP 3333. Raise ValueError for a path that is not UTF-8."""
        path, query, host = scope.path, scope.query_string, scope.client.rpartition(":")[0]
        request = self._base.copy()
        request["REQUEST_METHOD"] = scope.method
        request["PATH_INFO"] = path if path.isascii() else path.encode().decode("latin-1")
        request["QUERY_STRING"] = query if query.isascii() else query.encode().decode("latin-1")
        request["SERVER_PROTOCOL"] = f"HTTP/{scope.http_version}"
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
            if isinstance(chunks, FileWrapper) and isinstance(name := getattr(chunks.file, "name", None), str):
                chunks.close()
                exchange.response_file(status, headers, name)  # at the client's pace, without a thread of ours
            else:
                exchange.response_bytes(status, headers, _joined(chunks))
        except Exception:  # noqa: BLE001  the thread and its lane continue
            _log.exception("request.crashed")
            _answer(exchange, 500, "Internal error", "the request could not be answered; the log says why")


def add_headers(request: Environ, headers: Any) -> None:
    """Add a request's headers under PEP 3333's names, and the names of repeated headers."""
    different = 0
    for name, value in headers.items():
        variable = _VARIABLES.get(name) or _variable(name)
        if variable in request:
            request[variable] += f"{';' if name == 'cookie' else ','}{value}"
            request[REPEATED_HEADERS] = request.get(REPEATED_HEADERS, frozenset()) | {name}
        else:
            request[variable] = value
            different += 1
    if different < len(headers):  # granian skips headers whose value is not text, although they were sent
        for name in headers.keys():  # noqa: SIM118  it is no mapping
            request.setdefault(_VARIABLES.get(name) or _variable(name), "")


def _variable(name: str) -> str:
    return f"HTTP_{name.upper().replace('-', '_')}"


#: Frequent headers. Only CONTENT_TYPE and CONTENT_LENGTH have no HTTP_ prefix.
_VARIABLES = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"} | {
    name: _variable(name)
    for name in (
        "host", "user-agent", "accept", "accept-encoding", "connection", "authorization", "x-api-key", "cookie",
        "idempotency-key", "prefer", "x-forwarded-for", "x-forwarded-proto", "traceparent",
    )
}  # fmt: skip


class _Loop:
    """Replaces an event loop: it runs each callback of granian in granian's own thread."""

    def call_soon(self, callback: Callable[[Any], None], argument: Any, context: Any = None) -> None:  # noqa: ARG002
        callback(argument)

    call_soon_threadsafe = call_soon


class _Scheduler(CallbackScheduler):
    def __init__(self, *_arguments: Any) -> None:
        super().__init__()


@WorkerProcess.wrap_target  # type: ignore[untyped-decorator]
def serve_in_threads(  # noqa: PLR0917  granian's signature
    worker_id: int, application: "Flask", sock: Any, ipc: Any, _loop: Any, _runtime_mode: Any, runtime_threads: int,
    runtime_blocking_threads: int, blocking_threads: int, blocking_threads_idle_timeout: int, backpressure: int,
    _task_impl: Any, http_mode: Any, http1_settings: Any, http2_settings: Any, _websockets: bool, static_path: Any,
    _log_access_fmt: Any, ssl_ctx: Any, _scope_opts: Any, metrics: Any,
) -> None:  # fmt: skip
    """Serve in one worker process: granian's RSGI connections, with a FrontDoor instead of its event loop."""
    from app.services import services  # noqa: PLC0415  the main process needs no Flask

    runner = services(application).runner
    address = os.environ.get("HOST") or DEFAULT_HOST, int(os.environ.get("PORT") or DEFAULT_PORT)
    door, loop, ended = FrontDoor(application, at_once(runner.config), address), _Loop(), threading.Event()
    watching = watch((door.ahead, door.bodies), runner.stopping)
    services(application).threads.add("bodies", watching, runner.stopping).start()
    stop = set_sync_signals()  # type: ignore[no-untyped-call]
    stop.add_cb(ended.set)
    # Any: granian's type hints do not match what it accepts.
    make_worker: Any = RSGIWorker
    websockets = False
    worker = make_worker(
        worker_id, sock, ipc, runtime_threads, runtime_blocking_threads, blocking_threads,
        blocking_threads_idle_timeout, backpressure, http_mode, http1_settings, http2_settings, websockets,
        static_path, *ssl_ctx, metrics,
    )  # fmt: skip
    scheduler: Any = _Scheduler(loop, door, None, None, None)
    scheduler._schedule_fn = door  # noqa: SLF001
    worker.serve_mtr(scheduler, loop, stop)
    ended.wait()


def watch(all_bodies: tuple[Bodies, ...], stopping: threading.Event) -> Callable[[Callable[[], None]], None]:
    """Return the work of the thread that drops overdue bodies and ends a process whose parent was killed."""
    server = multiprocessing.parent_process()
    assert server is not None, "granian forks its workers"
    parent = server.pid

    def work(progressed: Callable[[], None]) -> None:
        while not stopping.wait(LOOK_S):
            for bodies in all_bodies:
                bodies.drop_overdue()
            if os.getppid() != parent:
                _log.error("parent.gone", mend="the server's main process was killed; this one ends in good order")
                os.kill(os.getpid(), signal.SIGTERM)
                return
            progressed()
        for bodies in all_bodies:
            bodies.drop_overdue(GIVES_WAY_AFTER_S)

    return work


def _joined(chunks: Iterable[bytes]) -> bytes:
    try:
        return b"".join(chunks)
    finally:
        if close := getattr(chunks, "close", None):
            close()


def _answer(exchange: Exchange, status: int, title: str, detail: str) -> None:
    body = orjson.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail})
    exchange.response_bytes(status, [("Content-Type", "application/problem+json"), ("Connection", "close")], body)
