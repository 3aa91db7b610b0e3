"""Secrets, certificates and CAs whose files are replaced while the service runs, against real sockets."""

import hashlib
import hmac
import ssl

import pytest
import trustme

from app.calls.client import HttpClient, Request
from app.calls.trust import Trust
from app.participant_settings.model import Auth, ParticipantSettings
from app.participant_settings.secret_files import LOOK_S
from tests.support.scripted_server import http, serving

JSON = b'{"a": 1}'
REFUSED = http(b'{"detail": "expired"}', "401 Unauthorized")
KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "bearer": ("token", {}),
    "basic": ("password", {"user": "me"}),
    "api_key": ("key", {"header": "X-API-Key"}),
    "hmac": ("key", {"header": "X-Signature", "canonical": "${body}"}),
    "oauth2": ("client_secret", {"client_id": "saga", "client_auth": "body"}),
}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def tokens():
    with serving() as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "secret"
    file.write_text("old\n")
    return file


@pytest.fixture
def send(*, kind, server, tokens, file, clock):
    """Return a function that sends a call, and returns its status."""
    name, options = KINDS[kind]
    auth = Auth(
        type=kind,
        secrets={name: "old"},
        files={name: str(file)},
        options=options | {"token_url": f"{tokens.url}/token"},
    )
    client = HttpClient(4, clock, participants={"flight": ParticipantSettings(url="", auth=auth)})

    return lambda: (
        client.send(
            Request(participant="flight", method="POST", url=f"{server.url}/", headers={}, body={}, timeout_s=5.0)
        ).status
    )


def token(name: str, life_s: int = 1) -> bytes:
    return http(f'{{"access_token": "{name}", "expires_in": {life_s}}}'.encode())


def shown(kind, server, number=-1):
    headers = server.headers(number)
    signatures = {hmac.new(key.encode(), b"{}", hashlib.sha256).hexdigest(): key for key in ("old", "new")}
    known = {
        "Bearer old": "old",
        "Bearer new": "new",
        "Basic bWU6b2xk": "old",
        "Basic bWU6bmV3": "new",
        "old": "old",
        "new": "new",
    }
    if kind == "hmac":
        return signatures[headers["x-signature"]]
    return known[headers["authorization" if kind != "api_key" else "x-api-key"]]


def test_replaced_secret_is_shown_at_once_after_a_401(kind, server, tokens, file, send):
    server.answers += [http(JSON), REFUSED, http(JSON)]
    tokens.answers += [token("old", 3600), token("new", 3600)]
    assert send() == 200
    file.write_text("new\n")
    assert send() == 200
    assert [shown(kind, server, number) for number in range(3)] == ["old", "old", "new"]
    assert all(b"client_secret=old" in body for body in map(tokens.body, range(len(tokens.received))))


def test_replaced_secret_is_shown_after_a_while_without_a_401(*, kind, server, tokens, file, clock, send):
    """Some participants answer 403 or 400 to a wrong secret, so the client reads the file again from time to time."""
    server.answers += [http(JSON)] * 4
    tokens.answers += [token("old"), token("old"), token("new"), token("new")]
    send()
    file.write_text("new\n")
    clock.now += LOOK_S - 1
    send()
    clock.now += 1
    send()
    file.write_text("newer\n")
    clock.now += LOOK_S - 1
    send()
    assert [shown(kind, server, number) for number in range(4)] == ["old", "old", "new", "new"]
    if kind == "oauth2":
        secrets = [tokens.body(number).partition(b"secret=")[2] for number in range(4)]
        assert secrets == [b"old", b"old", b"new", b"new"]


@pytest.mark.parametrize("content", [None, b"", b" \n", b"two\nlines", b"\xff\xfe", "clé".encode()])
def test_last_good_secret_stays_while_its_file_is_none(*, kind, server, tokens, file, clock, send, content):
    """With such a secret in a header, no call could be sent, and the order would be refused."""
    server.answers += [REFUSED, *([REFUSED] if kind == "oauth2" else []), http(JSON)]
    tokens.answers += [token("old"), token("old"), token("new")]
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    clock.now += LOOK_S
    assert send() == 401
    assert shown(kind, server) == "old"
    file.write_text("new")
    clock.now += LOOK_S
    assert send() == 200
    assert shown(kind, server) == "new"


def test_call_is_sent_once_after_a_401_when_the_secret_is_the_same(kind, server, tokens, file, send):
    server.answers += [REFUSED] * 3
    tokens.answers += [token("old", 3600), token("old", 3600)]
    assert send() == 401
    assert len(server.received) == (2 if kind == "oauth2" else 1), "an access token may be new with the same secret"


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized"])
def test_secret_is_read_again_when_the_token_server_refuses_it(*, server, tokens, file, clock, status):
    file.write_text("new")
    settings = {"token_url": f"{tokens.url}/token", "client_id": "saga", "client_auth": "body"}
    auth = Auth(type="oauth2", options=settings, secrets={"client_secret": "old"}, files={"client_secret": str(file)})
    client = HttpClient(4, clock, participants={"flight": ParticipantSettings(url="", auth=auth)})
    tokens.answers += [http(b'{"error": "invalid_client"}', status), token("t-1")]
    server.answers.append(http(JSON))
    ask = Request(participant="flight", method="POST", url=f"{server.url}/", headers={}, body={}, timeout_s=5.0)
    assert client.send(ask).status == 200
    assert [tokens.body(number).partition(b"secret=")[2] for number in range(2)] == [b"old", b"new"]


# certificates


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def served(authority, asks_for):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    asks_for.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return serving(tls=context)


def write(certificate, cert, key) -> None:
    certificate.cert_chain_pems[0].write_to_path(cert)
    certificate.private_key_pem.write_to_path(key)


def test_replaced_client_certificate_is_shown_by_new_connections(authority, tmp_path, clock):
    ca, cert, key = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))
    authority.cert_pem.write_to_path(ca)
    write(trustme.CA().issue_cert("old.test"), cert, key)
    settings = ParticipantSettings(url="", ca_files=(str(ca),), client_cert_file=str(cert), client_key_file=str(key))
    client = HttpClient(4, clock, participants={"flight": settings})
    with served(authority, asks_for=authority) as server:
        ask = Request(participant="flight", method="GET", url=f"{server.url}/", headers={}, body=None, timeout_s=5.0)
        assert client.send(ask).sent is False, "the server does not know the old certificate"
        write(authority.issue_cert("new.test"), cert, tmp_path / "not yet.pem")  # it does not fit the old key
        clock.now += LOOK_S
        assert client.send(ask).sent is False
        (tmp_path / "not yet.pem").rename(key)
        clock.now += LOOK_S - 1
        assert client.send(ask).sent is False
        clock.now += 1
        server.answers.append(http(JSON))
        assert client.send(ask).status == 200


@pytest.mark.parametrize("setting", ["ca_files", "public_cas"])
def test_replaced_ca_is_trusted_by_a_connection_that_is_opened_again(authority, tmp_path, clock, setting):
    ca, other = tmp_path / "ca.pem", trustme.CA()
    authority.cert_pem.write_to_path(ca)
    files = {"ca_files": (str(ca),)} if setting == "ca_files" else {"public_cas": str(ca)}
    client = HttpClient(1, clock, participants={"flight": ParticipantSettings(url="", **files)})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serving(tls=context) as server:
        ask = Request(participant="flight", method="GET", url=f"{server.url}/", headers={}, body=None, timeout_s=5.0)
        server.answers.append(http(JSON, headers="Connection: close\r\n"))
        assert client.send(ask).status == 200
        other.issue_cert("127.0.0.1").configure_cert(context)
        other.cert_pem.write_to_path(ca)
        clock.now += LOOK_S
        server.answers.append(http(JSON))
        assert client.send(ask).status == 200


def test_call_is_not_sent_while_a_file_of_a_ca_is_missing_from_the_start(tmp_path):
    settings = ParticipantSettings(url="", ca_files=(str(tmp_path / "ca.pem"),))
    client = HttpClient(1, participants={"flight": settings})
    with serving() as server:
        url = server.url.replace("http:", "https:")
        reply = client.send(
            Request(participant="flight", method="GET", url=f"{url}/", headers={}, body=None, timeout_s=5.0)
        )
    assert (reply.sent, reply.impossible) == (False, False)
    assert "a file of a CA or of our certificate cannot be used ([Errno 2] No such file" in reply.error


def test_public_cas_are_read_once(clock):
    assert Trust().context(clock.now) is Trust().context(clock.now + 10 * LOOK_S)


def test_context_stays_when_its_files_have_not_changed(authority, tmp_path, clock):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trust = Trust(ca_files=(str(tmp_path / "ca.pem"),))
    assert trust.context(clock.now) is trust.context(clock.now + 10 * LOOK_S)


def test_key_with_a_passphrase_is_not_asked_for_on_a_terminal(authority, tmp_path):
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  only this test needs the import

    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    write(authority.issue_cert("saga.test"), cert, key)
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"pw")
    form = serialization.PrivateFormat.PKCS8
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, form, locked))
    with pytest.raises(ssl.SSLError):
        Trust(cert_file=str(cert), key_file=str(key)).context(0.0)
