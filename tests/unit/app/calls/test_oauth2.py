"""Access tokens (OAuth 2, client credentials), against real sockets."""

import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.calls.auth import Message, NoCredentialError
from app.calls.client import HttpClient, Request
from app.calls.oauth2 import OAuth2Credential
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


def ask(server, timeout_s=3.0):
    return Request(
        participant="flight", method="POST", url=f"{server.url}/v1/book?x=1", headers={}, body={"a": 1},
        timeout_s=timeout_s,
    )  # fmt: skip


def client(auth, clock=time.monotonic):
    return HttpClient(8, clock, participants={"flight": ParticipantSettings(url="", auth=auth)})


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


@pytest.mark.parametrize(
    ("life", "moments"),
    [("100", (0.0, 89.0, 91.0)), ('"100"', (0.0, 89.0, 91.0)), ("3600", (0.0, 3569.0, 3571.0))],
    ids=["a tenth", "as a text", "30 seconds"],
)
def test_token_is_renewed_before_it_expires(*, server, tokens, life, moments):
    now = [0.0]
    server.answers += [http(JSON)] * 3
    tokens.answers += [http(f'{{"access_token": "t-{n}", "expires_in": {life}}}'.encode()) for n in (1, 2)]
    sender = client(oauth2(tokens), lambda: now[0])
    for moment in moments:
        now[0] = moment
        sender.send(ask(server))
    assert [server.headers(n)["authorization"] for n in range(3)] == ["Bearer t-1", "Bearer t-1", "Bearer t-2"]


@pytest.mark.parametrize("life", ["null", '"soon"', "[]"])
def test_token_without_a_life_is_kept(server, tokens, life):
    now = [0.0]
    server.answers += [http(JSON)] * 2
    tokens.answers += [http(f'{{"access_token": "t-{n}", "expires_in": {life}}}'.encode()) for n in (1, 2)]
    sender = client(oauth2(tokens), lambda: now[0])
    for moment in (0.0, 1e6):
        now[0] = moment
        sender.send(ask(server))
    assert [server.headers(n)["authorization"] for n in range(2)] == ["Bearer t-1"] * 2


@pytest.mark.parametrize("life", ['"NaN"', "0", "-5", "0.5"])
def test_token_with_a_senseless_life_is_kept_for_a_second(server, tokens, life):
    now = [0.0]
    server.answers += [http(JSON)] * 3
    tokens.answers += [http(f'{{"access_token": "t-{n}", "expires_in": {life}}}'.encode()) for n in (1, 2)]
    sender = client(oauth2(tokens), lambda: now[0])
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
        (http(b'{"access_token": "a b"}'), "the token is no single word of plain characters"),
        (http(b'{"access_token": ""}'), "the token is no single word of plain characters"),
        (http('{"access_token": "é"}'.encode()), "the token is no single word of plain characters"),
        (http(b'{"access_token": "t"}', "500 Oops"), "500"),
        (http(b"{}", "503 Busy"), "503"),
        (None, "the connection was lost before the answer: closed by the participant"),
    ],
    ids=["refused", "no JSON", "no token", "header", "words", "empty", "not ASCII", "no success", "busy", "lost"],
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
    now = [0.0]
    server.answers.append(http(JSON))
    tokens.answers += [http(b"{}", "503 Busy"), token("t-1")]
    sender = client(oauth2(tokens), lambda: now[0])
    assert [sender.send(ask(server)).sent for _ in range(3)] == [False] * 3
    now[0] = 0.9
    assert (sender.send(ask(server)).sent, len(tokens.received)) == (False, 1)
    now[0] = 1.0
    assert (sender.send(ask(server)).sent, len(tokens.received)) == (True, 2)


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


def test_token_server_is_not_asked_when_the_time_of_the_call_is_over(tokens):
    asked = []
    credential = OAuth2Credential(oauth2(tokens), "flight/token", asked.append, lambda: 100.0)
    message = Message(method="GET", url="", headers={}, body=b"", deadline=100.0)
    with pytest.raises(NoCredentialError, match="no time was left"):
        credential.headers(message)
    assert asked == []
