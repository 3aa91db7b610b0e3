"""A connection is used again, and replaced when it is lost or idle for too long. A request ends at its timeout."""

import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme
from saga_client import Sagas, Unavailable, transport

BODY = json.dumps({
    "id": "12345678-1234-1234-1234-123456789012", "type": "travel", "status": "completed", "state": "BOOKED",
    "stuck": False, "error_message": None,
}).encode()  # fmt: skip


class Service(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        service = self
        self.connections, self.requests, self.silent, self.closes = set(), [], False, False
        self.over = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                service.connections.add(self.client_address)
                service.requests.append((self.path, dict(self.headers)))
                self.rfile.read(int(self.headers["Content-Length"]))
                if service.silent:
                    service.over.wait(5)
                self.send_response(201)
                self.send_header("Content-Length", str(len(BODY)))
                self.end_headers()
                self.wfile.write(BODY)
                self.close_connection = service.closes

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def service():
    service = Service()
    yield service
    service.shutdown()
    service.server_close()


def test_one_connection_serves_one_request_after_the_other(service):
    with Sagas(service.url, "the-key") as sagas:
        for _ in range(5):
            sagas.start("travel", {})
    assert len(service.connections) == 1
    assert {headers["X-API-Key"] for _, headers in service.requests} == {"the-key"}


def test_a_connection_that_was_closed_meanwhile_is_replaced_with_the_same_key(service):
    service.closes = True
    with Sagas(service.url, sleep=lambda _: None) as sagas:
        for _ in range(3):
            sagas.start("travel", {})
    assert len(service.connections) == 3
    assert len({headers["Idempotency-Key"] for _, headers in service.requests}) == 3


def test_an_idle_connection_is_not_used_again(service, monkeypatch):
    monkeypatch.setattr(transport, "IDLE_S", 0)
    with Sagas(service.url) as sagas:
        sagas.start("travel", {})
        sagas.start("travel", {})
    assert len(service.connections) == 2


def test_a_path_below_which_a_gateway_serves_it_is_kept(service):
    with Sagas(f"{service.url}/saga-orchestrator/") as sagas:
        sagas.start("a/b", {})
    assert service.requests[0][0] == "/saga-orchestrator/api/v1/sagas/a%2Fb"


def test_a_silent_service_is_given_up_after_the_timeout(service):
    service.silent = True
    began = time.monotonic()
    with (
        Sagas(service.url, timeout=0.1, attempts=2, sleep=lambda _: None) as sagas,
        pytest.raises(Unavailable, match="TimeoutError"),
    ):
        sagas.start("travel", {})
    service.over.set()
    assert time.monotonic() - began < 4
    assert len({headers["Idempotency-Key"] for _, headers in service.requests}) == 1


def test_https_needs_a_certificate_that_the_caller_trusts(service):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    service.socket = context.wrap_socket(service.socket, server_side=True)
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    url = service.url.replace("http", "https")
    with Sagas(url, tls=trusted, attempts=1) as sagas:
        assert sagas.start("travel", {}).state == "BOOKED"
    with Sagas(url, attempts=1) as sagas, pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        sagas.start("travel", {})
