"""The services of docs/examples as Node processes, behind a proxy that loses replies and keeps a record of requests."""

import http.client
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from tests.support.waiting import HOST, eventually, free_port

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
#: The credentials with which the tests themselves call the services.
CREDENTIALS = {
    "flight": {"Authorization": "Bearer flight-token"},
    "car": {"X-Car-Key": "car-key"},
    "card": {"Authorization": "Bearer card-token"},
}


@dataclass(frozen=True)
class Sent:
    """One request of the orchestrator that a service has answered."""

    service: str
    method: str
    path: str
    body: bytes
    headers: dict[str, str]
    #: The status code of the service's answer.
    status: int

    def __str__(self) -> str:
        return f"{self.method} {self.service}{self.path}"


@dataclass
class Fault:
    """A fault of the next `times` requests that match `pattern`. A request is written "METHOD service/path"."""

    pattern: str
    #: lose: the service does its work, but its reply is lost. abandon: the orchestrator loses the connection while the
    #: service still works. swallow: the request never reaches the service. hold: the service does its work, but its
    #: reply is kept back until the orchestrator has closed the connection.
    kind: str
    times: int = 1
    met: threading.Event = field(default_factory=threading.Event)


class Services:
    """The Node processes of some services. The first segment of a path on the proxy is the name of the service."""

    def __init__(self, names: tuple[str, ...], **environment: str) -> None:
        self.sent: list[Sent] = []
        self.faults: list[Fault] = []
        self.ports = {name: free_port() for name in names}
        self._lock = threading.Lock()
        self._processes = [
            subprocess.Popen(
                ["node", EXAMPLES / "services" / f"{name}.js"],
                env={**os.environ, "PORT": str(port), **environment},
            )
            for name, port in self.ports.items()
        ]
        for name, port in self.ports.items():
            eventually(lambda port=port: _listens(port), f"{name} listens")

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def fault(self, pattern: str, kind: str, times: int = 1) -> Fault:
        self.faults.append(Fault(pattern, kind, times))
        return self.faults[-1]

    def get(self, service: str, path: str) -> Any:
        """Return the JSON of a GET that the test sends to the service directly, without the proxy."""
        url = f"http://{HOST}:{self.ports[service]}{path}"
        return requests.get(url, headers=CREDENTIALS.get(service), timeout=10).json()

    def calls(self, pattern: str) -> list[Sent]:
        return [sent for sent in self.sent if re.search(pattern, str(sent))]

    def take_fault(self, what: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.times and re.search(fault.pattern, what):
                    fault.times -= 1
                    return fault
        return None


class Proxy:
    """Passes each request on to the service that the first segment of its path names."""

    def __init__(self) -> None:
        self.services: Services | None = None
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                proxy.handle(self)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815  the names that http.server calls

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer((HOST, 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://{HOST}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        services = self.services
        assert services is not None
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        _, service, rest = handler.path.split("/", 2)
        handler.close_connection = True  # otherwise a thread would still wait for a request when the tests end
        fault = services.take_fault(f"{handler.command} {service}/{rest}")
        passed = _Passed(services, service, f"/{rest}", handler, body)
        if fault and fault.kind == "abandon":
            threading.Thread(target=passed.on_alone, daemon=True).start()
        elif not fault or fault.kind != "swallow":
            status, headers, answer = passed.on()
        if fault is None:
            handler.send_response_only(status)
            for name, value in headers:
                if name.lower() not in {"connection", "keep-alive", "transfer-encoding", "content-length"}:
                    handler.send_header(name, value)
            if status != http.HTTPStatus.NO_CONTENT:
                handler.send_header("Content-Length", str(len(answer)))
            handler.send_header("Connection", "close")
            handler.end_headers()
            handler.wfile.write(answer)
            return
        fault.met.set()
        if fault.kind == "hold":
            with suppress(OSError):
                handler.connection.recv(1)  # wait until the orchestrator closes the connection
        with suppress(OSError):
            handler.connection.shutdown(socket.SHUT_RDWR)


@dataclass
class _Passed:
    """A request that the proxy passes on to a service."""

    services: Services
    service: str
    path: str
    handler: BaseHTTPRequestHandler
    body: bytes

    def on(self) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = dict(self.handler.headers.items()) | {"Host": HOST}
        connection = http.client.HTTPConnection(HOST, self.services.ports[self.service], timeout=30)
        connection.request(self.handler.command, self.path, self.body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.services.sent.append(
            Sent(self.service, self.handler.command, self.path, self.body, headers, answer.status)
        )
        return answer.status, answer.getheaders(), content

    def on_alone(self) -> None:
        with suppress(OSError):  # the service may have ended together with the test
            self.on()


@contextmanager
def served(proxy: Proxy, *names: str, **environment: str) -> Iterator[Services]:
    services = proxy.services = Services(names, **environment)
    try:
        yield services
    finally:
        services.close()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False
