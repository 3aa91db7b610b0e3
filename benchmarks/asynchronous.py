"""Compare sagas whose clients wait with sagas whose clients do not (`Prefer: respond-async`).

The asynchronous sagas run once in the servers and once in Celery workers. The time counts from the first request until
the last saga has ended.
"""

import shutil
import sys
import time
from contextlib import ExitStack

from benchmarks.harness import Harness, free_port, settings, wait_until_ended, wait_until_open
from benchmarks.report import Table

SECONDS, WORKERS, CONNECTIONS = 6.0, 2, 16
_QUIETLY = ("--without-gossip", "--without-mingle")


def measure(bench: Harness) -> Table:
    responder = bench.responder()
    rates = {"the client waits": _rate(bench, responder, "")}
    rates["it does not; the servers run them"] = _rate(bench, responder, "", "Prefer: respond-async")
    if redis := shutil.which("redis-server"):
        rates["it does not; two Celery workers over Redis do"] = _rate(bench, responder, redis, "Prefer: respond-async")
    waited = next(iter(rates.values()))
    rows = [(name, f"{rate:,.0f}", f"{rate / waited:.2f}") for name, rate in rates.items()]
    return Table(name="asynchronous", head=("two processes", "sagas/s", "ratio"), rows=rows)


def _rate(bench: Harness, responder: str, redis: str, *headers: str) -> float:
    url = bench.database()
    environment = dict(settings(url, responder))
    with ExitStack() as stack:
        if redis:
            port = free_port()
            bench.program(redis, "--port", str(port), "--save", "", stack=stack)
            wait_until_open(port)
            environment["BROKER_URL"] = f"redis://127.0.0.1:{port}/0"
            celery = ("celery", "-A", "benchmarks.contenders.worker")
            for number in range(WORKERS):
                bench.program(*celery, "worker", "-n", f"{number}@bench", *_QUIETLY, stack=stack, **environment)
            bench.program(*celery, "beat", stack=stack, **environment)
        server = stack.enter_context(bench.server("ours", WORKERS, **environment))
        bench.load(server.url, CONNECTIONS, 1.0, *headers)
        wait_until_ended(url)
        started = time.monotonic()
        sagas = len(bench.load(server.url, CONNECTIONS, SECONDS, *headers))
        wait_until_ended(url)
        sys.stderr.write(f"  {sagas:,} sagas\n")
        return sagas / (time.monotonic() - started)
