"""Over TLS, against a server with a certificate of its own."""

import ssl
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import trustme

from app.participants.exchange import ExchangeAdapter, NotSentError, host_of

SAID = b"POST /pay HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"


class Peer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.send_response(201)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_): ...


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def origin(authority):
    server = HTTPServer(("127.0.0.1", 0), Peer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_: None  # who does not trust it hangs up
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


def exchange(origin, authority=None):
    pool = ExchangeAdapter().pool(origin)
    try:
        if authority:
            with authority.cert_pem.tempfile() as path:
                pool.ca_certs = path
                return pool.exchange(SAID, 5.0, time.monotonic)
        return pool.exchange(SAID, 5.0, time.monotonic)
    finally:
        pool.close()


def test_a_call_goes_over_tls(origin, authority):
    assert (answer := exchange(origin, authority)).whole
    assert (answer.status, answer.body) == (201, b"{}")


def test_nothing_is_sent_to_one_whose_certificate_is_not_trusted(origin):
    with pytest.raises(NotSentError):
        exchange(origin)


def test_nothing_is_sent_to_one_whose_certificate_names_another(origin, authority):
    with pytest.raises(NotSentError):
        exchange(origin.replace("localhost", "127.0.0.1"), authority)


@pytest.mark.parametrize(
    ("origin", "host"), [("http://stock:8010", "stock:8010"), ("https://me:secret@[::1]", "[::1]")]
)
def test_the_host_header_names_the_host_alone(origin, host):
    assert host_of(origin) == host
