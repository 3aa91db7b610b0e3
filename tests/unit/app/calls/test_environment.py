"""The environment variables for proxies and certificates, as they affect a call."""

import socket
import ssl
from types import SimpleNamespace

import pytest
import trustme

from app.calls.client import HttpClient, Request
from app.config import check_participants, from_environment
from tests.support.scripted_server import HttpProxy, http, serving

JSON = b'{"a": 1}'


@pytest.fixture
def authority(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return authority


@pytest.fixture
def proxy():
    proxy = HttpProxy()
    yield proxy
    proxy.close()


def send(look_up=socket.getaddrinfo, **environ):
    config = from_environment(environ)
    settings = check_participants(config, [SimpleNamespace(participants=("flight",), steps=(), at_end={})])
    client = HttpClient(1, participants=settings, look_up=look_up)
    url = f"{settings['flight'].url}/a?b=1"
    return client.send(Request(participant="flight", method="GET", url=url, headers={}, body=None, timeout_s=5.0))


def secured(authority, host="127.0.0.1", name=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name or host).configure_cert(context)
    return serving(host, context)


@pytest.mark.parametrize(
    "variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "PARTICIPANTS_CA_FILE",
                 "PARTICIPANT_FLIGHT_CA_FILE"],
)  # fmt: skip
def test_ca_of_a_variable_is_trusted(authority, tmp_path, variable):
    with secured(authority) as server:
        server.answers.append(http(JSON))
        assert send(PARTICIPANT_FLIGHT_URL=server.url).sent is False
        assert send(PARTICIPANT_FLIGHT_URL=server.url, **{variable: str(tmp_path / "ca.pem")}).status == 200


def test_public_cas_of_a_variable_replace_the_others(authority, tmp_path):
    other = trustme.CA()
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    both = {"REQUESTS_CA_BUNDLE": str(tmp_path / "other.pem"), "SSL_CERT_FILE": str(tmp_path / "ca.pem")}
    with secured(authority) as server:
        assert send(PARTICIPANT_FLIGHT_URL=server.url, **both).sent is False, "the first variable holds"


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_https_goes_through_the_proxy_of_a_variable(authority, tmp_path, proxy, variable):
    with secured(authority, name="flight.test") as server:
        proxy._goes_to = ("127.0.0.1", server.port)
        server.answers.append(http(JSON))
        url = f"https://flight.test:{server.port}"
        environ = {variable: proxy.url, "PARTICIPANTS_CA_FILE": str(tmp_path / "ca.pem"), "PARTICIPANT_FLIGHT_URL": url}
        assert send(**environ).status == 200
        assert server.received[0].startswith(b"GET /a?b=1 HTTP/1.1\r\n")
    assert proxy.heads[0].startswith(f"CONNECT flight.test:{server.port} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_http_is_forwarded_by_the_proxy_of_a_variable(proxy, variable):
    assert send(PARTICIPANT_FLIGHT_URL="http://flight.test", **{variable: proxy.url}).body == {"by": "proxy"}


@pytest.mark.parametrize(
    "more", [{"NO_PROXY": "flight.test"}, {"PARTICIPANT_FLIGHT_PROXY": "none"}], ids=["NO_PROXY", "none"]
)
def test_proxy_of_the_environment_is_passed_by(proxy, more):
    with serving() as server:
        server.answers.append(http(JSON))
        url = f"http://flight.test:{server.port}"
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", server.port))]
        environ = {"HTTP_PROXY": proxy.url, "PARTICIPANT_FLIGHT_URL": url, **more}
        assert send(lambda *_, **__: found, **environ).body == {"a": 1}
    assert proxy.heads == []


def test_url_with_an_ipv6_address_and_port_is_called(authority, tmp_path):
    with serving("::1") as plain, secured(authority, "::1") as secure:
        for server in (plain, secure):
            server.answers.append(http(JSON))
            found = send(PARTICIPANT_FLIGHT_URL=server.url, PARTICIPANTS_CA_FILE=str(tmp_path / "ca.pem"))
            assert found.status == 200
            assert server.headers()["host"] == f"[::1]:{server.port}"


def test_ipv6_address_is_reached_through_a_tunnel_and_by_forwarding(authority, tmp_path, proxy):
    with secured(authority, "::1") as server:
        server.answers.append(http(JSON))
        ca = str(tmp_path / "ca.pem")
        own = {"PARTICIPANT_FLIGHT_URL": server.url, "PARTICIPANT_FLIGHT_PROXY": proxy.url}
        assert send(PARTICIPANTS_CA_FILE=ca, **own).status == 200
        assert proxy.heads[0].startswith(f"CONNECT [::1]:{server.port} HTTP/1.1\r\nHost: [::1]:".encode())
        own["PARTICIPANT_FLIGHT_URL"] = "http://[2001:db8::1]:8010"
        assert send(**own).body == {"by": "proxy"}
        assert proxy.heads[1].startswith(
            b"GET http://[2001:db8::1]:8010/a?b=1 HTTP/1.1\r\nHost: [2001:db8::1]:8010\r\n"
        )


def test_proxy_with_an_ipv6_address_is_named_with_brackets():
    refused = send(PARTICIPANT_FLIGHT_URL="https://flight.test", PARTICIPANT_FLIGHT_PROXY="http://[::1]:9")
    assert refused.error.startswith("no connection could be made: the proxy on the way: [::1]:9 refused")
