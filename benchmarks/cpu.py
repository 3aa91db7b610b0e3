"""Measure which part of the code uses the CPU of one order: ours by package, and the libraries.

`python -m benchmarks cpu`. One thread sends orders to the WSGI application, counts and logs them itself, and is
sampled by the timer of its CPU time. A sample belongs to the innermost function of this project or of a library that is
not the standard library, so a system call belongs to the function that makes it.
"""

import gc
import io
import json
import signal
import sys
import time
from collections import Counter
from types import FrameType
from typing import Any
from unittest.mock import patch

from flask import Flask

from app.engine.runner import GC_THRESHOLD
from app.telemetry.entry_queue import EntryQueue
from benchmarks.contenders.saga import make_application
from benchmarks.harness import ROOT, Harness, settings
from benchmarks.observability import discarded_log
from benchmarks.report import Table

ROUNDS, ORDERS, WARM_UP = 60, 100, 300
SAMPLE_S = 0.001
_BODY = json.dumps({"customer": "Ada", "amount": 12}).encode()
_DRIVER, _SOCKETS = "psycopg2 and libpq: five statements", "system calls: four requests and replies"
#: Functions whose time is that of the driver or of the kernel.
_OUTSIDE = {"Statement._execute_on": _DRIVER, "_send": _SOCKETS, "_receive": _SOCKETS}
#: Package → the name of the part, for our own code. The first one that fits counts.
_OURS = {
    "app/store": "ours: store", "app/calls": "ours: HTTP client", "app/breaker": "ours: HTTP client",
    "app/traces": "ours: HTTP client", "app/telemetry": "ours: metrics and log", "app/logs": "ours: metrics and log",
    "app/engine": "ours: engine", "machines": "ours: machine and tables", "app/values": "ours: JSON",
    "app": "ours: API",
}  # fmt: skip
_WEB = ("flask", "werkzeug", "blinker", "itsdangerous")


def measure(bench: Harness) -> Table:
    application = make_application(settings(bench.database(), bench.responder()))
    samples: Counter[str] = Counter()
    entries: list[tuple[Any, ...]] = []  # what a thread of the service counts and logs later, many at once
    took_us = []
    gc.set_threshold(GC_THRESHOLD)
    with discarded_log(), patch.object(EntryQueue, "add", lambda _queue, *entry: entries.append(entry)):
        _send_orders(application, WARM_UP)
        signal.signal(signal.SIGPROF, lambda _signal, frame: samples.update([_part(frame)]))
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)
        for _ in range(ROUNDS):
            started = time.thread_time()
            _send_orders(application, ORDERS)
            for process, *facts in entries:
                process(*facts)
            entries.clear()
            took_us.append((time.thread_time() - started) / ORDERS * 1e6)
        signal.setitimer(signal.ITIMER_PROF, 0)
    whole, total = min(took_us), samples.total()  # other programs slow down all rounds but the fastest
    sys.stderr.write(f"  {total:,} samples\n")
    rows = [(part, f"{whole * found / total:,.0f}", f"{found / total:.0%}") for part, found in samples.most_common()]
    ours = sum(found for part, found in samples.items() if part.startswith("ours"))
    rows += [("all that is ours", f"{whole * ours / total:,.0f}", f"{ours / total:.0%}")]
    rows += [("the whole order", f"{whole:,.0f}", "100%")]
    return Table(name="cpu", head=("one order", "µs of CPU", "share"), rows=rows)


def _send_orders(application: Flask, number: int) -> None:
    statuses: Counter[str] = Counter()
    for _ in range(number):
        answer = application(_environ(), lambda status, *_: statuses.update([status]))
        list(answer)
        answer.close()
    assert statuses == {"200 OK": number}, statuses


def _environ() -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST", "SCRIPT_NAME": "", "PATH_INFO": "/order", "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000", "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(_BODY)),
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(_BODY), "wsgi.errors": sys.stderr,
        "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False,
    }  # fmt: skip


def _part(frame: FrameType | None) -> str:
    """Return the part of the code that runs now. frame: the innermost function."""
    while frame is not None:
        code = frame.f_code
        _, in_library, library = code.co_filename.rpartition("/site-packages/")
        if in_library:
            name = library.partition("/")[0].removesuffix(".py")
            return "Flask and Werkzeug" if name.startswith(_WEB) else name
        if code.co_filename.startswith(f"{ROOT}/") and (part := _own_part(code.co_filename, code.co_qualname)):
            return part
        frame = frame.f_back
    return "other"


def _own_part(file: str, function: str) -> str | None:
    if function in _OUTSIDE:
        return _OUTSIDE[function]
    path = file.removeprefix(f"{ROOT}/")
    return next((part for package, part in _OURS.items() if path.startswith(package)), None)
