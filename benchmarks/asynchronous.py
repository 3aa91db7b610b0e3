"""Sagas whose clients do not wait, beside those whose do: run by the servers themselves, and by Celery workers.

What counts is from the first request to the last saga's end.
"""

import shutil
import sys
import time
from contextlib import ExitStack

from benchmarks.report import Table
from benchmarks.rig import Rig, free_port, settings, until_ended, until_open

SECONDS, WORKERS, CONNECTIONS = 6.0, 2, 16
_QUIETLY = ("--without-gossip", "--without-mingle")


def measure(bench: Rig) -> Table:
    responder = bench.responder()
    rates = {"the client waits": _rate(bench, responder, "")}
    rates["it does not; the servers run them"] = _rate(bench, responder, "", "Prefer: respond-async")
    if redis := shutil.which("redis-server"):
        rates["it does not; two Celery workers over Redis do"] = _rate(bench, responder, redis, "Prefer: respond-async")
    waited = next(iter(rates.values()))
    rows = [(name, f"{rate:,.0f}", f"{rate / waited:.2f}") for name, rate in rates.items()]
    return Table(name="asynchronous", head=("two processes", "sagas/s", "ratio"), rows=rows)


def _rate(bench: Rig, responder: str, redis: str, *headers: str) -> float:
    url = bench.database()
    given = dict(settings(url, responder))
    with ExitStack() as stack:
        if redis:
            port = free_port()
            bench.program(redis, "--port", str(port), "--save", "", stack=stack)
            until_open(port)
            given["BROKER_URL"] = f"redis://127.0.0.1:{port}/0"
            celery = ("celery", "-A", "benchmarks.contenders.worker")
            for number in range(WORKERS):
                bench.program(*celery, "worker", "-n", f"{number}@bench", *_QUIETLY, stack=stack, **given)
            bench.program(*celery, "beat", stack=stack, **given)
        server = stack.enter_context(bench.server("ours", WORKERS, **given))
        bench.load(server.url, CONNECTIONS, 1.0, *headers)
        until_ended(url)
        began = time.monotonic()
        sagas = len(bench.load(server.url, CONNECTIONS, SECONDS, *headers))
        until_ended(url)
        sys.stderr.write(f"  {sagas:,} sagas\n")
        return sagas / (time.monotonic() - began)
