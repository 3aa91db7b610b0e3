"""A participant's credential and header reach only its own host, whatever the hosts answer."""

import base64
import json
import ssl
from types import SimpleNamespace

import pytest
import trustme

from app.calls.client import HttpClient, Request
from app.config import check_participants, from_environment
from tests.support.scripted_server import HttpProxy, http, serving

JSON = b'{"a": 1}'
#: Participant → texts that no other host may receive. The gateway's key is for the participants below PARTICIPANTS_URL.
MARKS = {
    "flight": ["flight-token", "flight-header", "X-Flight-Key"],
    "hotel": [base64.b64encode(b"hotel-user:hotel-password").decode(), "hotel-header"],
    "pay": ["pay-client", "pay-secret", "pay-access", "pay-header"],
    "gate": ["gateway-key"],
    "sign": ["X-Sign", "sign-header"],
}
TOML = """
[flight]
url = "{flight}"
auth = {{type = "bearer", token = "flight-token"}}
headers = {{"X-Own" = "flight-header"}}
idempotency_header = "X-Flight-Key"
[hotel]
url = "{hotel}"
auth = {{type = "basic", user = "hotel-user", password = "hotel-password"}}
headers = {{"X-Own" = "hotel-header"}}
[pay]
url = "{pay}"
headers = {{"X-Own" = "pay-header"}}
[pay.auth]
type = "oauth2"
token_url = "{tokens}/token"
client_id = "pay-client"
client_secret = "pay-secret"
client_auth = "body"
[sign]
url = "{sign}"
headers = {{"X-Own" = "sign-header"}}
auth = {{type = "hmac", key = "sign-key", header = "X-Sign", canonical = "${{body}}"}}
"""


@pytest.fixture
def servers():
    with serving() as a, serving() as b, serving() as c, serving() as d, serving() as e, serving() as f:
        yield dict(zip((*MARKS, "tokens"), (a, b, c, d, e, f), strict=True))


@pytest.fixture
def send(servers, tmp_path):
    urls = {name: server.url for name, server in servers.items()}
    (tmp_path / "p.toml").write_text(TOML.format(**urls))
    environ = {
        "PARTICIPANTS_URL": urls["gate"],
        "PARTICIPANTS_API_KEY": "gateway-key",
        "PARTICIPANTS_FILE": str(tmp_path / "p.toml"),
    }
    return sending(environ, MARKS)


def sending(environ, names):
    config = from_environment(environ)
    settings = check_participants(config, [SimpleNamespace(participants=tuple(names), steps=(), at_end={})])
    client = HttpClient(4, participants=settings)

    def send(name, host=None):
        headers = {"Idempotency-Key": "k", "Saga-Id": "s"}
        url = f"{host or settings[name].url}/book"
        return client.send(
            Request(participant=name, method="POST", url=url, headers=headers, body={"n": 1}, timeout_s=5.0)
        )

    return send


def test_each_host_gets_the_marks_of_its_own_participant_only(send, servers):
    for server in servers.values():
        server.answers += [http(JSON)]
    servers["tokens"].answers = [http(json.dumps({"access_token": "pay-access"}).encode())]
    for name in MARKS:
        assert send(name).status == 200
    got = {name: b"".join(server.received).decode() for name, server in servers.items()}
    for name, marks in MARKS.items():
        for mark in marks:
            hosts = {host for host, text in got.items() if mark in text}
            assert hosts == ({"tokens"} if mark in ("pay-client", "pay-secret") else {name}), mark
    assert "sign-key" not in "".join(got.values())
    assert "Saga-Id" not in got["tokens"]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize("name", ["flight", "hotel", "pay", "gate", "sign", "tokens"])
def test_no_redirect_takes_a_credential_to_another_host(send, servers, name, status):
    with serving() as foreign:
        foreign.answers += [http(JSON)] * 3
        redirect = http(b"", status, f"Location: {foreign.url}/book\r\nSet-Cookie: a=b\r\n")
        servers["tokens"].answers += [http(json.dumps({"access_token": "pay-access"}).encode())]
        servers[name].answers.insert(0, redirect)
        reply = send("pay" if name == "tokens" else name)
        assert reply.status == (None if name == "tokens" else int(status[:3]))
        assert foreign.received == []


def test_participants_of_one_host_share_no_header(servers, tmp_path):
    """The calls to these participants use the same connections."""
    url = servers["flight"].url
    (tmp_path / "p.toml").write_text(TOML.format(**dict.fromkeys(servers, url)))
    send = sending({"PARTICIPANTS_FILE": str(tmp_path / "p.toml")}, ["flight", "hotel", "pay", "sign", "other"])
    servers["flight"].answers += [http(JSON)] * 3
    for name in ("flight", "hotel", "sign"):
        assert send(name).status == 200
    assert servers["flight"].connections == 1
    for number, name in enumerate(("flight", "hotel", "sign")):
        text = servers["flight"].received[number].decode()
        assert {each for each, marks in MARKS.items() if any(mark in text for mark in marks)} == {name}


def test_password_of_the_proxy_reaches_the_proxy_only(servers, tmp_path):
    proxy = HttpProxy()
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    with serving(tls=context) as server:
        variables = {
            "PARTICIPANT_FLIGHT_URL": server.url,
            "PARTICIPANT_FLIGHT_PROXY": proxy.url.replace("//", "//me:proxy-password@"),
            "PARTICIPANT_FLIGHT_CA_FILE": str(tmp_path / "ca.pem"),
            "PARTICIPANT_FLIGHT_AUTH": "bearer",
            "PARTICIPANT_FLIGHT_AUTH_TOKEN": "flight-token",
            "PARTICIPANT_HOTEL_URL": servers["hotel"].url,
        }
        send = sending(variables, ["flight", "hotel"])
        server.answers.append(http(JSON))
        servers["hotel"].answers.append(http(JSON))
        assert [send("flight").status, send("hotel").status] == [200, 200]
        assert server.headers()["authorization"] == "Bearer flight-token"
        assert "proxy-authorization" not in server.headers()
    proxy.close()
    assert [head.split(b" ")[0] for head in proxy.heads] == [b"CONNECT"]
    assert b"Proxy-Authorization: Basic " in proxy.heads[0]
    assert b"flight-token" not in proxy.heads[0]
    assert not servers["hotel"].headers().keys() & {"authorization", "proxy-authorization"}


def test_client_certificate_is_shown_by_its_own_participant_only(servers, tmp_path):
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    own = ca.issue_cert("flight.test")
    own.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with serving(tls=context) as server:
        variables = {
            "PARTICIPANTS_CA_FILE": str(tmp_path / "ca.pem"),
            "PARTICIPANTS_URL": server.url,
            "PARTICIPANT_FLIGHT_CLIENT_CERT_FILE": str(tmp_path / "cert.pem"),
            "PARTICIPANT_FLIGHT_CLIENT_KEY_FILE": str(tmp_path / "key.pem"),
        }
        send = sending(variables, ["flight", "hotel"])
        server.answers += [http(JSON, headers="Connection: close\r\n")] * 2
        assert [send("flight").sent, send("hotel").sent] == [True, False]
