"""Credentials, against real sockets."""

import base64
import hashlib
import hmac
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.calls.auth import HmacCredential, Message
from app.calls.client import HttpClient, Request
from app.calls.outcome import setting_of, settings_of
from app.participant_settings.model import Auth, ParticipantSettings
from tests.support.scripted_server import http, serving
from tests.support.waiting import eventually

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


# oauth2


def oauth2(tokens, **options):
    options = {"token_url": f"{tokens.url}/token", "client_id": "saga", "scope": "book read"} | options
    return Auth(type="oauth2", options=options, secrets={"client_secret": "s&c"})


def token(name, **more):
    return http(json.dumps({"access_token": name, "token_type": "Bearer", **more}).encode())


def test_token_is_asked_for_once_and_kept(server, tokens):
    server.answers += [http(JSON)] * 3
    tokens.answers.append(token("t-1", expires_in=3600))
    sender = client(oauth2(tokens))
    assert [sender.send(ask(server)).status for _ in range(3)] == [200] * 3
    assert {server.headers(n)["authorization"] for n in range(3)} == {"Bearer t-1"}
    assert tokens.body() == b"grant_type=client_credentials&scope=book+read"
    assert tokens.headers()["authorization"] == f"Basic {base64.b64encode(b'saga:s%26c').decode()}"
    assert tokens.headers()["content-type"] == "application/x-www-form-urlencoded"


def test_client_secret_is_sent_in_the_body_when_the_server_wants_it(server, tokens):
    server.answers.append(http(JSON))
    tokens.answers.append(token("t-1"))
    client(oauth2(tokens, client_auth="body", audience="flights")).send(ask(server))
    assert "authorization" not in tokens.headers()
    sent = b"grant_type=client_credentials&scope=book+read&audience=flights&client_id=saga&client_secret=s%26c"
    assert tokens.body() == sent


def test_token_is_renewed_before_it_expires(server, tokens):
    now = [0.0]
    server.answers += [http(JSON)] * 3
    tokens.answers += [token("t-1", expires_in=100), token("t-2", expires_in="100")]
    settings = {"flight": ParticipantSettings(url="", auth=oauth2(tokens))}
    sender = HttpClient(4, lambda: now[0], participants=settings)
    for moment in (0.0, 89.0, 91.0):
        now[0] = moment
        sender.send(ask(server))
    assert [server.headers(n)["authorization"] for n in range(3)] == ["Bearer t-1", "Bearer t-1", "Bearer t-2"]


@pytest.mark.parametrize("life", ['"NaN"', "0", "-5", "0.5"])
def test_token_with_a_senseless_life_is_kept_for_a_second(server, tokens, life):
    now = [0.0]
    server.answers += [http(JSON)] * 3
    tokens.answers += [http(f'{{"access_token": "t-{n}", "expires_in": {life}}}'.encode()) for n in (1, 2)]
    sender = HttpClient(4, lambda: now[0], participants={"flight": ParticipantSettings(url="", auth=oauth2(tokens))})
    for moment in (0.0, 0.8, 1.0):
        now[0] = moment
        assert sender.send(ask(server)).status == 200
    assert [server.headers(n)["authorization"] for n in range(3)] == ["Bearer t-1", "Bearer t-1", "Bearer t-2"]


def test_token_is_renewed_once_when_it_is_refused(server, tokens):
    server.answers += [REFUSED, http(JSON), REFUSED, REFUSED]
    tokens.answers += [token("t-1", expires_in=3600), token("t-2", expires_in=3600), token("t-3", expires_in=3600)]
    sender = client(oauth2(tokens))
    assert [sender.send(ask(server)).status for _ in range(2)] == [200, 401]
    assert [server.headers(n)["authorization"][-3:] for n in range(4)] == ["t-1", "t-2", "t-2", "t-3"]


def test_401_stays_the_answer_when_no_other_token_can_be_had(server, tokens):
    server.answers += [REFUSED, http(JSON)]
    tokens.answers += [token("t-1", expires_in=3600), http(b"{}", "503 Busy")]
    reply = client(oauth2(tokens)).send(ask(server))
    assert (reply.status, reply.reason, len(server.received)) == (401, "401 expired", 1)


def test_one_thread_asks_for_the_token_and_the_others_wait(tokens):
    with serving() as server:
        server.answers += [http(JSON)] * 8
        tokens.answers += [(token("t-1", expires_in=3600)[:20], token("t-1", expires_in=3600)[20:])]
        sender = client(oauth2(tokens))
        with ThreadPoolExecutor(8) as pool:
            assert {reply.status for reply in pool.map(sender.send, [ask(server)] * 8)} == {200}
    assert len(tokens.received) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http(b'{"error": "invalid_client"}', "401 Unauthorized"), "401 invalid_client"),
        (http(b"<html>"), "200, but no JSON (Expecting value: line 1 column 1 (char 0))"),
        (http(b'{"token": "x"}'), "200, but without an access_token"),
        (http(b'{"access_token": "a\\nb"}'), "the token is no single word of plain characters"),
        (http(b"{}", "503 Busy"), "503"),
        (None, "the connection was lost before the answer: closed by the participant"),
    ],
    ids=["refused", "no JSON", "no token", "smuggled header", "busy", "lost"],
)
def test_call_is_not_sent_when_no_token_can_be_had(server, tokens, answer, reason):
    tokens.answers.append(answer)
    reply = client(oauth2(tokens)).send(ask(server))
    assert (reply.status, reply.sent, reply.withheld, server.received) == (None, False, True, [])
    url = f"{tokens.url}/token"
    assert reply.error == f"no access token from {url}: {reason}; check its client_id and client_secret"
    assert "s&c" not in reply.error


def test_token_server_is_asked_within_the_time_of_the_call(server, tokens):
    tokens.answers.append(b"")
    reply = client(oauth2(tokens)).send(ask(server, timeout_s=0.2))
    assert (reply.sent, reply.duration_ms < 1500) == (False, True)


def test_failed_token_server_is_not_asked_again_at_once(server, tokens):
    tokens.answers += [http(b"{}", "503 Busy"), token("t-1")]
    sender = client(oauth2(tokens))
    assert [sender.send(ask(server)).sent for _ in range(3)] == [False] * 3
    assert len(tokens.received) == 1


# hmac


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
    """Return the headers of a message, and the signature that a canonical text would have."""
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


def test_thread_that_waits_for_a_token_ends_at_its_deadline(server, tokens):
    release = threading.Event()
    tokens.answers.append(b"")
    sender = client(oauth2(tokens))
    first = threading.Thread(target=lambda: (sender.send(ask(server, timeout_s=1.5)), release.set()))
    first.start()
    eventually(lambda: tokens.received, "the first call asks for a token")
    reply = sender.send(ask(server, timeout_s=0.1))
    assert not release.is_set(), "it has not waited for the first one"
    assert reply.error == "no access token was received within the time of the call"
    first.join()
