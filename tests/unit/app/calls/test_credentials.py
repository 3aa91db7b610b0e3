"""Credentials, against real sockets."""

import base64
import hashlib
import hmac

import pytest

from app.calls.auth import HmacCredential, Message
from app.calls.client import HttpClient, Request
from app.participant_settings.model import Auth, ParticipantSettings
from machines.replies import setting_of, settings_of
from tests.support.scripted_server import http, serving

JSON = b'{"a": 1}'
REFUSED = http(b'{"detail": "expired"}', "401 Unauthorized")


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def tokens():
    with serving() as server:
        yield server


def ask(server, timeout_s=3.0, participant="flight", **headers):
    return Request(
        participant=participant, method="POST", url=f"{server.url}/v1/book?x=1", headers=headers, body={"a": 1},
        timeout_s=timeout_s,
    )  # fmt: skip


def client(auth, **settings):
    return HttpClient(8, participants={"flight": ParticipantSettings(url="", auth=auth, **settings)})


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        (Auth(type="bearer", secrets={"token": "t-1"}), "authorization", "Bearer t-1"),
        (
            Auth(type="basic", options={"user": "me"}, secrets={"password": "s:e"}),
            "authorization",
            f"Basic {base64.b64encode(b'me:s:e').decode()}",
        ),
        (Auth(type="api_key", options={"header": "X-API-Key"}, secrets={"key": "k"}), "x-api-key", "k"),
        (
            Auth(type="api_key", options={"header": "Authorization", "prefix": "Token "}, secrets={"key": "k"}),
            "authorization",
            "Token k",
        ),
    ],
    ids=["bearer", "basic", "api_key", "api_key with prefix"],
)
def test_credential_is_shown_in_its_header(server, auth, header, value):
    server.answers.append(http(JSON))
    assert client(auth).send(ask(server)).status == 200
    assert server.headers()[header] == value


def test_credential_is_shown_to_its_own_participant_only(server):
    server.answers += [http(JSON), http(JSON)]
    sender = client(Auth(type="bearer", secrets={"token": "t-1"}))
    sender.send(ask(server))
    sender.send(ask(server, participant="hotel"))
    assert ["authorization" in server.headers(number) for number in (0, 1)] == [True, False]


def test_secret_of_a_file_is_read_again_when_it_is_refused(server, tmp_path):
    (tmp_path / "token").write_text("new\n")
    server.answers += [REFUSED, http(JSON)]
    auth = Auth(type="bearer", secrets={"token": "old"}, files={"token": str(tmp_path / "token")})
    assert client(auth).send(ask(server, **{"Idempotency-Key": "k"})).status == 200
    assert [server.headers(n)["authorization"] for n in (0, 1)] == ["Bearer old", "Bearer new"]
    assert [server.headers(n)["idempotency-key"] for n in (0, 1)] == ["k", "k"]


def test_refused_secret_is_shown_once_when_its_file_has_not_changed(server, tmp_path):
    (tmp_path / "token").write_text("old")
    server.answers += [REFUSED, http(JSON)]
    auth = Auth(type="bearer", secrets={"token": "old"}, files={"token": str(tmp_path / "token")})
    assert client(auth).send(ask(server)).status == 401
    assert len(server.received) == 1


def test_idempotency_key_is_sent_in_the_header_that_is_named(server):
    server.answers.append(http(JSON))
    client(None, idempotency_header="X-Request-Id").send(ask(server, **{"Idempotency-Key": "k/1", "Saga-Id": "s"}))
    headers = server.headers()
    assert (headers["x-request-id"], headers["saga-id"], "idempotency-key" in headers) == ("k/1", "s", False)


def test_own_user_agent_replaces_that_of_the_service(server):
    server.answers.append(http(JSON))
    client(None, headers={"user-agent": "shop/1", "Api-Version": "2"}).send(ask(server))
    assert server.received[0].lower().count(b"user-agent:") == 1
    assert (server.headers()["user-agent"], server.headers()["api-version"]) == ("shop/1", "2")


def test_shorter_of_both_timeouts_holds(server):
    server.answers.append(b"")
    assert client(None, timeout_s=0.1).send(ask(server)).error == "no answer within 0.1 s"
    assert client(None, timeout_s=9).send(ask(server, timeout_s=0.1)).error == "no answer within 0.1 s"


def test_401_names_the_setting_of_the_credential(server):
    server.answers += [http(b"{}", "401 Unauthorized")] * 3
    own = Auth(type="bearer", secrets={"token": "t"})
    for settings, setting in (
        (ParticipantSettings(url="", auth=own), "PARTICIPANT_FLIGHT_AUTH"),
        (ParticipantSettings(url="", behind_gateway=False), "PARTICIPANT_FLIGHT_AUTH"),
        (ParticipantSettings(url=""), "PARTICIPANTS_API_KEY"),
    ):
        reply = HttpClient(1, participants={"flight": settings}).send(ask(server))
        assert setting_of(reply, "flight") == setting
        assert setting in settings_of("flight")


def test_call_with_a_credential_ends_at_its_timeout(server):
    server.answers += [REFUSED, b""]
    reply = client(Auth(type="bearer", secrets={"token": "t"})).send(ask(server, timeout_s=0.2))
    assert reply.status == 401
    reply = client(Auth(type="bearer", secrets={"token": "t"})).send(ask(server, timeout_s=0.2))
    assert (reply.error, reply.duration_ms < 5000) == ("no answer within 0.2 s", True)


# HMAC signatures


def test_signature_covers_what_the_canonical_text_names(server):
    server.answers.append(http(JSON))
    canonical = "${method}\n${target}\n${timestamp}\n${key}\n${body}"
    auth = Auth(
        type="hmac",
        secrets={"key": "k"},
        options={
            "header": "X-Signature",
            "canonical": canonical,
            "value": "t=${timestamp},v1=${signature}",
            "timestamp_header": "X-Timestamp",
        },
    )
    assert client(auth).send(ask(server, **{"Idempotency-Key": "s/book/do"})).status == 200
    headers = server.headers()
    when = headers["x-timestamp"]
    signed = f"POST\n/v1/book?x=1\n{when}\ns/book/do\n".encode() + server.body()
    expected = hmac.new(b"k", signed, hashlib.sha256).hexdigest()
    assert headers["x-signature"] == f"t={when},v1={expected}"


def signed(canonical, body=b"", now=1_792_567_680.9, url="https://h.test:8443/v1?q=1", **options):
    """Return the headers of a message, and a function that returns the expected signature of a canonical text."""
    options = {"header": "X-S", "canonical": canonical, "timestamp_header": "X-T"} | options
    credential = HmacCredential(Auth(type="hmac", secrets={"key": "k"}, options=options), wall_clock=lambda: now)
    message = Message(method="PUT", url=url, headers={}, body=body, deadline=0)
    return credential.headers(message), lambda text: hmac.new(b"k", text, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("form", "timestamp"),
    [
        ("", "1792567680"),
        ("seconds", "1792567680"),
        ("milliseconds", "1792567680900"),
        ("iso8601", "2026-10-21T07:28:00Z"),
        ("http_date", "Wed, 21 Oct 2026 07:28:00 GMT"),
    ],
)
def test_timestamp_of_a_signature_has_the_form_of_its_setting(form, timestamp):
    headers, sign = signed("${timestamp}", timestamp=form)
    assert headers == {"X-S": sign(timestamp.encode()), "X-T": timestamp}


def test_every_part_of_the_request_can_be_signed():
    canonical = "${method}${newline}${host}${newline}${path}${newline}${query}${newline}${target}${newline}${key}"
    headers, sign = signed(f"{canonical}${{body_sha256}}${{body}}${{body}}", body=b"$b")
    digest = hashlib.sha256(b"$b").hexdigest().encode()
    assert headers["X-S"] == sign(b"PUT\nh.test:8443\n/v1\nq=1\n/v1?q=1\n" + digest + b"$b$b")


def test_path_of_a_bare_host_is_signed_as_a_slash():
    headers, sign = signed("${path} ${target} ${body}", url="https://h.test")
    assert headers["X-S"] == sign(b"/ / ")


@pytest.mark.parametrize("body", [b"$method ${x} $$", b"\xff\x00", b""])
def test_body_is_signed_byte_for_byte(body):
    options = {"header": "X-S", "canonical": "[${body}]", "algorithm": "sha512", "encoding": "base64"}
    credential = HmacCredential(Auth(type="hmac", secrets={"key": "k"}, options=options))
    message = Message(method="POST", url="https://h.test/a", headers={}, body=body, deadline=0)
    expected = base64.b64encode(hmac.new(b"k", b"[" + body + b"]", hashlib.sha512).digest()).decode()
    assert credential.headers(message) == {"X-S": expected}
