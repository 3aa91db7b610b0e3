"""A process of `python -m app` that serves requests. It uses granian's RSGI server without an event loop."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog
from granian._granian import CallbackScheduler, RSGIWorker
from granian._signals import set_sync_signals
from granian.server.mp import WorkerProcess

from app.config import Config
from app.memory import give_back_large_blocks
from app.serving.bodies import MIN_BODY_S, AwaitedBodies
from app.serving.front_door import MAX_MONITORING, FrontDoor
from app.settings import HOST, PORT

if TYPE_CHECKING:  # the main process serves nothing, and does not import Flask
    from flask import Flask

_log = structlog.get_logger("server")
#: Number of threads for liveness checks, and for requests until they have a place in a queue.
SPARE_THREADS = 4
#: Seconds between two checks for overdue bodies. Each check also finds out whether the parent lives.
CHECK_EVERY_S = 0.5


def threads_of(config: Config) -> int:
    """Return the number of threads that granian needs in one process."""
    return at_once(config) + MAX_MONITORING + SPARE_THREADS


def at_once(config: Config) -> int:
    """Return the largest number of requests that run at once. Half of them can wait for their sagas."""
    return 2 * config.requests


class _Loop:
    """Replaces granian's event loop. It runs each callback of granian in the calling thread."""

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
    """Serve requests in one process: with granian's RSGI server, and a FrontDoor instead of an event loop."""
    from app.services import services  # noqa: PLC0415  the main process needs no Flask

    give_back_large_blocks()
    runner = services(application).runner
    address = HOST.read(os.environ), PORT.read(os.environ)
    door, loop, ended = FrontDoor(application, at_once(runner.config), address), _Loop(), threading.Event()
    watching = watch((door.read_ahead, door.bodies), runner.stopping)
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


def watch(all_bodies: tuple[AwaitedBodies, ...], stopping: threading.Event) -> Callable[[Callable[[], None]], None]:
    """Return the function of a thread that drops overdue bodies, and ends this process when its parent was killed."""
    server = multiprocessing.parent_process()
    assert server is not None, "granian forks its workers"
    parent = server.pid

    def work(progressed: Callable[[], None]) -> None:
        while not stopping.wait(CHECK_EVERY_S):
            for bodies in all_bodies:
                bodies.drop_overdue()
            if os.getppid() != parent:
                _log.error(
                    "parent.gone", mend="the server's main process was killed; this one finishes its calls and ends"
                )
                os.kill(os.getpid(), signal.SIGTERM)
                return
            progressed()
        for bodies in all_bodies:
            bodies.drop_overdue(MIN_BODY_S)

    return work
