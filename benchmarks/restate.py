"""Serve the contender `restate`: Restate's server, and two processes with the handlers that it calls.

It takes part where its programs are installed: `npm install --global @restatedev/restate-server` and
`.venv/bin/pip install restate-sdk hypercorn httpx`.
"""

import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec

import psutil
import requests

from benchmarks.harness import START_S, Harness, Server, free_port, wait_until_open

_PROGRAM = shutil.which("restate-server")
INSTALLED = _PROGRAM is not None and all(map(find_spec, ("restate", "hypercorn", "httpx")))


@contextmanager
def serve(bench: Harness, workers: int, environment: Mapping[str, str]) -> Iterator[Server]:
    """Serve orders until the end of the with statement. Restate's server keeps its files in a new folder."""
    assert _PROGRAM is not None
    ingress, admin, node, handlers = (free_port() for _ in range(4))
    own = {
        "RESTATE_BASE_DIR": str(bench.folder / f"restate{ingress}"), "RESTATE_INGRESS__BIND_PORT": str(ingress),
        "RESTATE_ADMIN__BIND_PORT": str(admin), "RESTATE_BIND_PORT": str(node), "RESTATE_LOG_FILTER": "warn",
        "RESTATE_DISABLE_TELEMETRY": "true",
    }  # fmt: skip
    hypercorn = ("hypercorn", "--workers", str(workers), "--bind", f"127.0.0.1:{handlers}")
    with ExitStack() as stack:
        server = bench.program(_PROGRAM, "--node-name", "bench", stack=stack, **own)
        bench.program(*hypercorn, "benchmarks.contenders.restate:application", stack=stack, **environment)
        for port in (ingress, admin, handlers):
            wait_until_open(port)
        _register(f"http://127.0.0.1:{admin}/deployments", f"http://127.0.0.1:{handlers}")
        yield Server(f"http://127.0.0.1:{ingress}/bench/buy", psutil.Process(server.pid))


def _register(admin: str, handlers: str) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        answer = requests.post(admin, json={"uri": handlers}, timeout=10)
        if answer.ok:
            return
        time.sleep(0.2)
    sys.exit(f"Restate does not accept the handlers: {answer.text}")
