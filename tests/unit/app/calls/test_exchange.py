"""HTTP calls over TLS, to a server with its own certificate."""

import socket
import ssl
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import trustme

from app.calls.connection import NotSentError, Route
from app.calls.exchange import ExchangeAdapter
from app.calls.trust import Trust
from app.calls.ways import host_of
from app.dialing import Dialer

SAID = b"POST /pay HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"


class Peer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.send_response(201)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_): ...


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def serve():
    """Return a function that starts a server with a certificate.

    The server calls `on_hello` when a client has sent the host name for which it wants a certificate.
    """
    servers = []

    def serve(certificate, on_hello=lambda *_: None):
        server = HTTPServer(("127.0.0.1", 0), Peer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        context.sni_callback = on_hello
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.handle_error = lambda *_: None  # a client that does not trust the certificate closes the connection
        Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"https://localhost:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def exchange(authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    def exchange(origin, *, trusting=True, clock=time.monotonic):
        trust = Trust(ca_files=(str(tmp_path / "ca.pem"),) if trusting else ())
        adapter = ExchangeAdapter(Route(Dialer(clock=clock)), trust)
        with closing(adapter.pool(origin)) as pool:
            return pool.exchange(SAID, 5.0, clock)

    return exchange


def test_call_over_tls_trusts_the_configured_private_ca(serve, exchange, authority):
    answer = exchange(serve(authority.issue_cert("localhost")))
    assert (answer.complete, answer.status, answer.body) == (True, 201, b"{}")


def test_public_authorities_are_trusted_beside_a_private_one(tmp_path, authority):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    def trusted(*ca_files):
        return Trust(ca_files=ca_files).context(0.0).cert_store_stats()["x509_ca"]

    assert trusted(str(tmp_path / "ca.pem")) == trusted() + 1 > 50


def test_nothing_is_sent_when_the_authority_is_unknown(serve, exchange, authority):
    origin = serve(authority.issue_cert("localhost"))
    with pytest.raises(NotSentError) as error:
        exchange(origin, trusting=False)
    why = "has a certificate of an unknown CA; a private CA is named with PARTICIPANTS_CA_FILE"
    assert str(error.value) == f"{origin.removeprefix('https://')} {why}"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_nothing_is_sent_when_the_certificate_names_another_host(serve, exchange, authority, host):
    origin = serve(authority.issue_cert("stock.test"))
    with pytest.raises(NotSentError, match=r"has a certificate for another host name$"):
        exchange(origin.replace("localhost", host))


@pytest.mark.parametrize(
    ("days", "why"), [((-9, -2), "has an expired certificate"), ((2, 9), "has a certificate that is not valid yet")]
)
def test_nothing_is_sent_when_the_certificate_is_not_valid_now(serve, exchange, authority, days, why):
    first, last = (datetime.now(UTC) + timedelta(days=n) for n in days)
    origin = serve(authority.issue_cert("localhost", not_before=first, not_after=last))
    with pytest.raises(NotSentError, match=why):
        exchange(origin)


def test_nothing_is_sent_to_a_server_without_tls(exchange):
    with HTTPServer(("127.0.0.1", 0), Peer) as server:
        Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(NotSentError, match="does not speak TLS; is its URL http://"):
            exchange(f"https://localhost:{server.server_port}")


def test_nothing_is_sent_when_the_server_closes_in_the_handshake(exchange):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up():
            listener.accept()[0].close()

        Thread(target=hang_up, daemon=True).start()
        with pytest.raises(NotSentError, match="closed the connection during the TLS handshake"):
            exchange(f"https://localhost:{listener.getsockname()[1]}")


def test_nothing_is_sent_when_the_handshake_took_all_the_time(serve, exchange, authority):
    clock = Clock()

    def on_hello(*_):
        clock.now += 10

    origin = serve(authority.issue_cert("localhost"), on_hello)
    with pytest.raises(NotSentError, match="the time was over when the connection had been made"):
        exchange(origin, clock=clock)


@pytest.mark.parametrize(
    ("origin", "host"), [("http://stock:8010", "stock:8010"), ("https://me:secret@[::1]", "[::1]")]
)
def test_host_header_contains_only_the_host(origin, host):
    assert host_of(origin) == host
