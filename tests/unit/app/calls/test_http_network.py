"""How `HttpClient` (ours) and the library requests (the reference) connect: names, addresses, TLS and proxies."""

import base64
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import trustme

from app.calls.client import HttpClient, Request
from app.participant_settings.model import ParticipantSettings
from app.participant_settings.proxies import environment_proxy, proxy_at
from tests.support.reference_sender import ReferenceSender
from tests.support.scripted_server import HttpProxy, ScriptedServer, http, serving

JSON = b'{"a": 1}'
VARIABLES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
)


@pytest.fixture(params=["ours", "requests"])
def kind(request) -> str:
    return request.param


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory) -> str:
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return str(file)


@pytest.fixture(scope="module")
def client_certificate(authority, tmp_path_factory) -> tuple[str, str]:
    folder, certificate = tmp_path_factory.mktemp("client"), authority.issue_cert("saga@shop.test")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    return str(folder / "cert.pem"), str(folder / "key.pem")


def get(url: str, timeout_s: float = 3.0) -> Request:
    return Request(participant="stock", method="GET", url=f"{url}/a", headers={}, body=None, timeout_s=timeout_s)


def ours(look_up: Callable = socket.getaddrinfo, **settings: object) -> HttpClient:
    return HttpClient(4, participants={"stock": ParticipantSettings(url="", **settings)}, look_up=look_up)


@contextmanager
def secured(certificate: trustme.LeafCert, asks_for: trustme.CA | None = None) -> Iterator[ScriptedServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    if asks_for:
        asks_for.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    with serving(tls=context) as server:
        yield server


@pytest.fixture
def dead() -> Iterator[tuple]:
    """Return the address of a listener whose queue is full, so connecting to it never ends."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()


# names and addresses


def test_ipv6_address_is_a_host(kind):
    with serving("::1") as server:
        server.answers.append(http(JSON))
        reply = (ours() if kind == "ours" else ReferenceSender()).send(get(server.url))
        assert (reply.status, server.headers()["host"]) == (200, f"[::1]:{server.port}")


def test_ipv6_address_is_a_host_over_tls(kind, authority, ca_file):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("::1").configure_cert(context)
    with serving("::1", context) as server:
        server.answers.append(http(JSON))
        sender = ours(ca_files=(ca_file,)) if kind == "ours" else ReferenceSender(verify=ca_file)
        assert sender.send(get(server.url)).status == 200


def test_next_address_is_tried_when_the_first_is_dead(kind, dead, monkeypatch):
    """The reference uses the whole timeout for each address, so two dead addresses would take twice the timeout."""
    with serving() as server:
        server.answers.append(http(JSON))
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", place) for place in (dead, server.listener.getsockname())]
        if kind == "requests":
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        sender = ours(look_up=lambda *_, **__: found) if kind == "ours" else ReferenceSender()
        assert sender.send(get("http://stock.test", 1.0)).status == 200


def test_silent_name_server_holds_no_call():
    """The reference ignores its timeout during the look-up, and waits as long as the system's resolver does."""
    over = threading.Event()
    reply = ours(look_up=lambda *_, **__: over.wait(20)).send(get("http://stock.test", 0.1))
    over.set()
    assert (reply.sent, reply.duration_ms < 5000) == (False, True)


def test_call_is_not_sent_when_its_name_took_all_of_its_time():
    """The reference would send the call after its timeout, and then not wait for the answer."""
    over = threading.Event()
    with serving() as server:
        slow = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", server.listener.getsockname())]
        reply = ours(look_up=lambda *_, **__: over.wait(0.3) or slow).send(get("http://stock.test", 0.1))
        assert (reply.sent, server.received) == (False, [])


# TLS


def test_private_ca_is_trusted_when_it_is_named(kind, authority, ca_file):
    with secured(authority.issue_cert("127.0.0.1")) as server:
        server.answers.append(http(JSON))
        sender = ours(ca_files=(ca_file,)) if kind == "ours" else ReferenceSender(verify=ca_file)
        assert sender.send(get(server.url)).status == 200


def test_ca_bundle_of_the_environment_replaces_the_public_cas(kind, authority, ca_file, monkeypatch):
    with secured(authority.issue_cert("127.0.0.1")) as server:
        server.answers.append(http(JSON))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca_file)
        sender = ours(public_cas=ca_file) if kind == "ours" else ReferenceSender()
        assert sender.send(get(server.url)).status == 200


def test_folder_of_cas_is_trusted(authority, ca_file, tmp_path):
    with secured(authority.issue_cert("127.0.0.1")) as server:
        server.answers += [http(JSON)]
        # OpenSSL looks for a CA in the file that is named by the hash of the CA's subject.
        (tmp_path / f"{_subject_hash(ca_file)}.0").write_text(Path(ca_file).read_text())
        assert ours(public_cas=str(tmp_path)).send(get(server.url)).status == 200


def _subject_hash(ca_file: str) -> str:
    return subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", ca_file], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_unknown_ca_is_not_trusted(kind, authority):
    with secured(authority.issue_cert("127.0.0.1")) as server:
        server.answers.append(http(JSON))
        reply = (ours() if kind == "ours" else ReferenceSender()).send(get(server.url))
        assert (reply.status, reply.sent, server.received) == (None, False, [])


def test_client_certificate_is_shown_when_it_is_asked_for(kind, authority, ca_file, client_certificate):
    cert_file, key_file = client_certificate
    with secured(authority.issue_cert("127.0.0.1"), asks_for=authority) as server:
        server.answers.append(http(JSON))
        sender = (
            ours(ca_files=(ca_file,), client_cert_file=cert_file, client_key_file=key_file)
            if kind == "ours"
            else ReferenceSender(verify=ca_file, cert=client_certificate)
        )
        assert sender.send(get(server.url)).status == 200


def test_call_is_not_sent_when_a_client_certificate_lacks(kind, authority, ca_file):
    """With TLS 1.3 the server sends this error in place of the answer. The reference would count the answer as lost."""
    with secured(authority.issue_cert("127.0.0.1"), asks_for=authority) as server:
        sender = ours(ca_files=(ca_file,)) if kind == "ours" else ReferenceSender(verify=ca_file)
        reply = sender.send(get(server.url))
        assert (reply.status, server.received) == (None, [])
        if kind == "ours":
            assert not reply.sent
            assert "asks for a client certificate" in reply.error or "refused our certificate" in reply.error


# proxies


@pytest.fixture
def proxy() -> Iterator[HttpProxy]:
    proxy = HttpProxy()
    yield proxy
    proxy.close()


def test_https_goes_through_a_tunnel_of_the_proxy(kind, proxy, authority, ca_file, monkeypatch):
    with secured(authority.issue_cert("stock.test")) as server:
        proxy._goes_to = ("127.0.0.1", server.port)
        server.answers += [http(JSON), http(JSON)]
        url = f"https://stock.test:{server.port}"
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//me:s%40crt@"))
        way = environment_proxy(url, {"HTTPS_PROXY": proxy.url.replace("//", "//me:s%40crt@")})
        sender = ours(ca_files=(ca_file,), proxy=way) if kind == "ours" else ReferenceSender(verify=ca_file)
        assert [sender.send(get(url)).body for _ in range(2)] == [{"a": 1}] * 2
        assert server.received[0].startswith(b"GET /a HTTP/1.1\r\n")
        assert "proxy-authorization" not in server.headers()
    assert len(proxy.heads) == 1
    assert proxy.heads[0].startswith(f"CONNECT stock.test:{server.port} HTTP/1.".encode())
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'me:s@crt').decode()}".encode() in proxy.heads[0]


def test_http_is_forwarded_by_the_proxy(kind, proxy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//me:secret@"))
    way = proxy_at(proxy.url.replace("//", "//me:secret@"), "HTTP_PROXY")
    sender = ours(proxy=way) if kind == "ours" else ReferenceSender()
    assert sender.send(get("http://stock.test:8010")).body == {"by": "proxy"}
    assert proxy.heads[0].startswith(b"GET http://stock.test:8010/a HTTP/1.1\r\n")
    assert b"Host: stock.test:8010\r\n" in proxy.heads[0]
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n" in proxy.heads[0]


def test_http_is_forwarded_when_its_scheme_is_in_capitals(proxy):
    assert ours(proxy=proxy_at(proxy.url, "HTTP_PROXY")).send(get("HTTP://stock.test:8010")).body == {"by": "proxy"}
    assert proxy.heads[0].startswith(b"GET HTTP://stock.test:8010/a HTTP/1.1\r\nHost: stock.test:8010\r\n")


def test_nothing_is_sent_when_the_proxy_refuses_the_tunnel(kind, authority, ca_file, monkeypatch):
    proxy = HttpProxy(refuses=b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    way = proxy_at(proxy.url, "HTTPS_PROXY")
    sender = ours(proxy=way, ca_files=(ca_file,)) if kind == "ours" else ReferenceSender(verify=ca_file)
    reply = sender.send(get("https://stock.test"))
    assert (reply.status, reply.sent) == (None, False)
    if kind == "ours":
        words = f"the proxy {way} makes no connection to stock.test:443: 407 Proxy Authentication Required"
        assert reply.error == f"no connection could be made: {words}"


def test_dripping_proxy_holds_no_call():
    """`HttpClient` opens the tunnel itself, because in urllib3 each piece of an answer restarts the timeout."""
    with serving() as drips:
        drips.answers.append(tuple(b"HTTP/1.1 200 OK\r\nX: 12345678901234567890\r\n\r\n"[n : n + 1] for n in range(40)))
        reply = ours(proxy=proxy_at(drips.url, "HTTPS_PROXY")).send(get("https://stock.test", 0.3))
    assert (reply.sent, reply.duration_ms < 1500) == (False, True)
    assert "did not answer in time" in reply.error


def test_error_names_the_proxy_when_it_is_down(kind, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    monkeypatch.setenv("HTTP_PROXY", url)
    reply = (ours(proxy=proxy_at(url, "HTTP_PROXY")) if kind == "ours" else ReferenceSender()).send(
        get("http://stock.test")
    )
    assert reply.sent is False
    if kind == "ours":
        assert reply.error.startswith("no connection could be made: the proxy on the way: 127.0.0.1:")


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://api.test", {"HTTPS_PROXY": "http://p:1"}, "p:1"),
        ("https://api.test", {"https_proxy": "http://q:2", "HTTPS_PROXY": "http://p:1"}, "q:2"),
        ("https://api.test", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://api.test", {"HTTP_PROXY": "p:1"}, "p:1"),
        ("http://api.test", {"ALL_PROXY": "http://p"}, "p:3128"),
        ("https://api.test", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".test"}, None),
        ("https://api.test:8443", {"HTTPS_PROXY": "http://p:1", "no_proxy": "other.test,api.test"}, None),
        ("https://10.1.2.3", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, None),
        ("https://api.test", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        ("https://127.0.0.1", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://localhost:1", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://api.test", {"HTTPS_PROXY": ""}, None),
    ],
)
def test_proxy_of_the_environment_is_that_of_requests(url, environ, proxy):
    found = environment_proxy(url, environ)
    assert (str(found) if found else None) == proxy
