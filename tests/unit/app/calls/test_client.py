"""The HTTP client against a real socket, which answers with exactly the bytes that a test sets."""

import gc
import gzip
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from math import inf
from weakref import ref

import pytest

from app.calls.answer import LARGEST_REPLY_BYTES
from app.calls.client import HttpClient, Request
from app.calls.connection import IDLE_S
from app.participant_settings.model import ParticipantSettings
from machines.outcomes import Outcome
from machines.replies import outcome_of
from tests.support.scripted_server import ScriptedServer, http, serving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + b'{"a": 1}'


@pytest.fixture
def peer() -> Iterator[ScriptedServer]:
    with serving() as peer:
        yield peer


@pytest.fixture
def send(peer: ScriptedServer) -> Callable:
    participants = HttpClient(connections=4, wall_clock=lambda: 60.0)

    def send(*answers: bytes | None, method="POST", body=None, timeout_s=5.0, port=None):
        peer.answers.extend(answers)
        return participants.send(
            Request(
                participant="stock",
                method=method,
                url=f"http://127.0.0.1:{port or peer.port}/stock/reserver",
                headers={"Idempotency-Key": "k"},
                body=body,
                timeout_s=timeout_s,
            )
        )

    return send


def test_json_object_is_parsed(send, peer):
    reply = send(OK, body={"montant": 59.97, "é": "ü"})
    assert (reply.status, reply.body, reply.sent) == (200, {"a": 1}, True)
    assert peer.received[0].startswith(b"POST /stock/reserver HTTP/1.1\r\n")
    assert b"Idempotency-Key: k\r\n" in peer.received[0]
    assert b"Content-Type: application/json\r\n" in peer.received[0]
    assert peer.received[0].endswith('{"montant":59.97,"é":"ü"}'.encode())


@pytest.mark.parametrize("name", ["Content-Type", "content-type"])
def test_content_type_of_the_table_replaces_that_of_the_service(peer, name):
    peer.answers.append(OK)
    request = Request(
        participant="stock", method="POST", url=f"http://127.0.0.1:{peer.port}/", headers={name: "application/a+json"},
        body={}, timeout_s=5,
    )  # fmt: skip
    HttpClient(connections=1).send(request)
    assert peer.received[0].lower().count(b"content-type:") == 1
    assert peer.headers()["content-type"] == "application/a+json"


def test_a_get_has_no_body(send, peer):
    send(OK, method="GET")
    assert b"Content-Length" not in peer.received[0]


def test_gateway_key_is_sent(peer):
    peer.answers.append(OK)
    request = Request(
        participant="stock", method="GET", url=f"http://127.0.0.1:{peer.port}/", headers={}, body=None, timeout_s=5
    )
    gateway = ParticipantSettings(url="", headers={"X-API-Key": "k-1"})
    HttpClient(connections=1, participants={"stock": gateway}).send(request)
    assert b"X-API-Key: k-1\r\n" in peer.received[0]


def test_connection_is_used_again(send, peer):
    send(OK, OK)
    assert send().status == 200
    assert peer.connections == 1


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "no JSON (Expecting value: line 1 column 1 (char 0))"),
        (b'{"a": ', "no JSON (Expecting value: line 1 column 7 (char 6))"),
        (b"\xff", "not UTF-8"),
        (b'{"a": NaN}', "NaN, which is no JSON number"),
        (b'{"a": "\\u0000"}', "a NUL character in a text"),
        (b'{"a": "\\udfff"}', "a lone surrogate in a text"),
        (b'{"a":' * 300 + b"1" + b"}" * 300, "nested deeper than 100"),
        (b'{"a": 1e999}', "a number of more than 400 digits"),
        (b"x" * LARGEST_REPLY_BYTES, "larger than 1,048,576 bytes"),
    ],
)
def test_unstorable_body_is_unreadable_and_the_reason_is_given(send, body, why):
    reply = send(http(body))
    assert (reply.status, reply.body, reply.sent) == (200, None, True)
    assert reply.unreadable == why


def test_number_beyond_a_float_is_received_and_sent_unchanged(send, peer):
    reply = send(http(b'{"n": 12345678901234567890123, "x": 0.10000000000000000001}'), OK)
    send(body=reply.body)
    assert peer.received[1].endswith(b'\r\n\r\n{"n":12345678901234567890123,"x":0.10000000000000000001}')


def test_a_body_has_its_members_in_one_order(send, peer):
    send(OK, body={"b": [{"z": 1, "a": 2}], "a": 1})
    assert peer.received[0].endswith(b'\r\n\r\n{"a":1,"b":[{"a":2,"z":1}]}')


def test_no_body_is_an_empty_object(send):
    assert send(http(b"", "204 No Content")).body == {}


def test_a_redirect_is_not_followed(send, peer):
    reply = send(http(b"", "302 Found", f"Location: http://127.0.0.1:{peer.port}/other\r\n"))
    assert (reply.status, len(peer.received)) == (302, 1)


def test_call_with_a_lost_answer_counts_as_sent_and_is_not_repeated(send, peer):
    reply = send(None)
    assert (reply.status, reply.sent) == (None, True)
    assert reply.error == "the connection was lost before the answer: closed by the participant"
    assert len(peer.received) == 1


def test_call_with_half_an_answer_counts_as_sent(send, peer):
    reply = send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", timeout_s=0.3)
    assert (reply.body, reply.sent) == (None, True)


def test_connection_with_half_an_answer_is_not_used_again(send, peer):
    """The rest of the answer would be taken for the answer to the next request."""
    assert send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", timeout_s=0.2).status is None
    assert send(OK).status == 200
    assert peer.connections == 2


def test_call_without_an_answer_in_time_counts_as_sent(send):
    reply = send(b"", timeout_s=0.2)
    assert (reply.status, reply.sent, reply.error) == (None, True, "no answer within 0.2 s")


def test_call_with_a_refused_connection_counts_as_not_sent(send):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        unused = probe.getsockname()[1]
    reply = send(port=unused)
    assert reply.sent is False
    assert reply.error == f"no connection could be made: 127.0.0.1:{unused} refused the connection"


@pytest.mark.parametrize(
    ("answer", "final"),
    [
        (http(b'{"a": "' + b"x" * LARGEST_REPLY_BYTES + b'"}'), True),
        (http(gzip.compress(b"x" * 2 * LARGEST_REPLY_BYTES), headers="Content-Encoding: gzip\r\n"), True),
        (http(b"<html>"), False),
        (http(b""), False),
        (OK, False),
    ],
    ids=["too large", "too large unpacked", "no JSON", "nothing", "fine"],
)
def test_reply_is_final_when_it_is_too_large(send, answer, final):
    assert send(answer).final is final


def test_endless_body_is_not_read_to_its_end(send):
    reply = send(http(b'{"a": "' + b"x" * LARGEST_REPLY_BYTES + b'"}'))
    assert (reply.status, reply.body, reply.unreadable) == (200, None, "larger than 1,048,576 bytes")


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
def test_endless_head_is_not_read_to_its_end_and_is_no_answer(send, before):
    reply = send(before + b"HTTP/1.1 200 OK\r\nX: " + b"x" * 3 * LARGEST_REPLY_BYTES)
    assert (reply.status, reply.body, reply.sent) == (None, None, True)
    assert reply.error == "the connection was lost before the answer: its head is larger than 1,048,576 bytes"
    assert reply.duration_ms < 4000, "it did not wait for the end"


EARLY = "Thu, 01 Jan 1970 00:01:40 GMT"
DATE = "Date: Wed, 21 Oct 2026 07:27:30 GMT\r\n"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ("Retry-After: 7\r\n", 7.0),
        ("Retry-After:  \t7 \t\r\n", 7.0),
        ("Retry-After: 0\r\n", 0.0),
        (f"{DATE}Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n", 30.0),
        (f"{DATE}Retry-After: Wednesday, 21-Oct-26 07:28:00 GMT \r\n", 30.0),
        (f"{DATE}Retry-After: Wed Oct 21 07:28:00 2026\r\n", 30.0),
        (f"{DATE}Retry-After: Wed, 21 Oct 2026 07:00:00 GMT\r\n", 0.0),
        ("", None),
        ("Retry-After: 5.5\r\n", 5.5),
        (f"Retry-After: {'9' * 500}\r\n", inf),
        ("Retry-After: 5.\r\n", None),
        ("Retry-After: 1e3\r\n", None),
        ("Retry-After: 5, 10\r\n", None),
        ("Retry-After: nan\r\n", None),
        ("Retry-After: Wed, 21 Oct 2026 07:28:00 +99999999999999999999\r\n", None),
        ("Retry-After: 99999999999999999999999999 Jan 2026 1:1:1\r\n", None),
        (f"Date: soon\r\nRetry-After: {EARLY}\r\n", 40.0),
        (f"Date: 1 Jan 99999999999999999999999\r\nRetry-After: {EARLY}\r\n", 40.0),
        ("Retry-After: -5\r\n", None),
        ("Retry-After: soon\r\n", None),
        ("Retry-After: \r\n", None),
    ],
)
def test_retry_after_is_read_in_each_of_its_forms(send, headers, seconds):
    assert send(http(b"", "503 Busy", headers)).retry_after_s == seconds


@pytest.mark.parametrize(("headers", "seconds"), [("", None), ("Retry-After: 5.5\r\n", 5.5)])
def test_429_is_not_sent_and_waits_as_long_as_it_asks(send, headers, seconds):
    """Without the header Retry-After the engine backs off, as for every call that is not sent."""
    reply = send(http(b"{}", "429 Too Many Requests", headers))
    assert (outcome_of(reply), reply.retry_after_s) == (Outcome.NOT_SENT, seconds)


def test_retry_after_date_uses_our_clock_when_the_reply_has_no_date(peer):
    peer.answers.append(http(b"", "503 Busy", "Retry-After: Thu, 01 Jan 1970 00:01:40 GMT\r\n"))
    participants = HttpClient(1, wall_clock=lambda: 60.0)
    request = Request(
        participant="map", method="GET", url=f"http://127.0.0.1:{peer.port}/", headers={}, body=None, timeout_s=5.0
    )
    assert participants.send(request).retry_after_s == 40.0


def test_missing_body_differs_from_an_empty_object(send):
    assert (send(http(b"", "404 No"), http(b"{}", "404 No")).blank, send().blank) == (True, False)


def test_slowly_dripping_answer_ends_at_the_deadline(peer):
    # The client reads the clock five times before it sends and once when it sends (4.9 s). At the next reading (5.1 s)
    # the deadline of 5 s is over.
    moments = iter([0.0, 0.0, 0.0, 0.0, 0.0, 4.9, 5.1, 5.1])
    peer.answers.append(b"HTTP/1.1 200 OK\r\n")
    request = Request(
        participant="map", method="GET", url=f"http://127.0.0.1:{peer.port}/", headers={}, body=None, timeout_s=5.0
    )
    reply = HttpClient(1, clock=lambda: next(moments)).send(request)
    assert (reply.status, reply.sent, reply.error) == (None, True, "no answer within 5 s")
    assert reply.duration_ms == 5100.0


def test_answer_in_pieces_is_joined(send):
    chunked = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n4\r\n: 1}\r\n0\r\n\r\n'
    assert send(chunked).body == {"a": 1}


def test_answer_that_ends_with_its_connection_is_complete(send, peer):
    peer.release.set()
    assert send(b'HTTP/1.1 200 OK\r\n\r\n{"a": 1}').body == {"a": 1}


def test_an_answer_cut_short_is_lost(send, peer):
    peer.release.set()
    reply = send(b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a": 1}')
    assert (reply.status, reply.sent) == (None, True)
    assert reply.error == "the connection was lost before the answer: closed by the participant"


def test_interim_response_is_skipped(send):
    early = b"HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n"
    reply = send(early + http(b"{}", "409 Conflict"))
    assert (reply.status, reply.retry_after_s) == (409, None)


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
def test_reply_that_is_not_http_counts_as_sent(send, answer):
    reply = send(answer)
    assert (reply.status, reply.sent) == (None, True)
    assert reply.error == "the connection was lost before the answer: the answer is not HTTP"


@pytest.mark.parametrize(
    "answer", [OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1), OK + OK, b"HTTP/1.0" + OK[8:]]
)
def test_doubtful_connection_is_not_used_again(send, peer, answer):
    assert send(answer).status == 200
    assert send(OK).status == 200
    assert peer.connections == 2


def test_connection_closed_by_its_peer_is_not_used_again(send, peer):
    peer.release.set()  # the peer closes the connection after its last answer
    assert send(OK).status == 200
    assert peer.closed.acquire(timeout=10)
    assert send(OK).status == 200
    assert peer.connections == 2


def test_request_is_sent_as_one_packet(send, peer):
    send(OK, body={"a": 1})
    assert peer.first_pieces[0] == peer.received[0]


@pytest.mark.parametrize("value", ["a\r\nSaga-Id: b", "a\nb", "a\rb", "é"])
def test_header_cannot_contain_another_header(value):
    request = Request(
        participant="map",
        method="GET",
        url="http://127.0.0.1:9/",
        headers={"Idempotency-Key": value},
        body=None,
        timeout_s=1,
    )
    reply = HttpClient(1).send(request)
    assert (reply.sent, reply.impossible) == (False, True)
    assert reply.error == "one of these headers has a line break, or is not ASCII: Idempotency-Key"


def test_call_without_a_body_has_content_length_0(send, peer):
    send(OK, method="DELETE")
    assert b"Content-Length: 0\r\n" in peer.received[0]
    assert b"Content-Type" not in peer.received[0]


def test_request_accepts_no_content_coding(send, peer):
    send(OK)
    assert b"Accept-Encoding: identity\r\n" in peer.received[0]


@pytest.mark.parametrize(
    ("coding", "encode"),
    [("gzip", gzip.compress), ("GZIP", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress)],
)
def test_compressed_reply_is_parsed(send, coding, encode):
    reply = send(http(encode(b'{"a": 1}'), headers=f"Content-Encoding: {coding}\r\n"))
    assert (reply.body, reply.unreadable) == ({"a": 1}, "")


def test_reply_with_identity_coding_is_parsed(send):
    assert send(http(b'{"a": 1}', headers="Content-Encoding: identity\r\n")).body == {"a": 1}


@pytest.mark.parametrize(
    ("coding", "make_body", "why"),
    [
        ("br", lambda: b"x", "its Content-Encoding is br"),
        ("gzip", lambda: b"{}", "its gzip body is broken"),
        ("gzip", lambda: gzip.compress(b"{}")[:-5], "its gzip body is broken"),
        (
            "gzip",
            # a function, because each collection of the tests would otherwise make this large value
            lambda: gzip.compress(b"[" * 20 * LARGEST_REPLY_BYTES),
            "larger than 1,048,576 bytes when unpacked",
        ),
    ],
    ids=["unknown", "broken", "cut off", "bomb"],
)
def test_unreadable_compressed_reply_has_a_reason(send, coding, make_body, why):
    reply = send(http(make_body(), headers=f"Content-Encoding: {coding}\r\n"))
    assert (reply.status, reply.body, reply.unreadable) == (200, None, why)


class NatParticipant:
    """A participant behind a NAT that has forgotten the first `forgot` connections.

    Requests on these connections get no answer.
    """

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.together = threading.Barrier(1)
        self.forgot = self.connections = 0
        self.over = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self._converse, args=(connection, self.connections), daemon=True).start()

    def _converse(self, connection: socket.socket, number: int) -> None:
        with connection:
            while connection.recv(65_536):
                if number <= self.forgot:
                    self.over.wait(20)
                    return
                self.together.wait(10)
                connection.sendall(OK)


@pytest.fixture
def forgetful() -> Iterator[NatParticipant]:
    forgetful = NatParticipant()
    yield forgetful
    forgetful.over.set()
    forgetful.listener.close()


def get(url: str, timeout_s: float = 5.0) -> Request:
    return Request(participant="stock", method="GET", url=url, headers={}, body=None, timeout_s=timeout_s)


def test_retry_uses_a_new_connection_after_the_nat_forgot(forgetful):
    participants = HttpClient(connections=4)
    forgetful.together = threading.Barrier(3)
    with ThreadPoolExecutor(3) as pool:  # opens three connections, which are idle afterwards
        assert [r.status for r in pool.map(participants.send, [get(forgetful.url)] * 3)] == [200] * 3
    forgetful.together, forgetful.forgot = threading.Barrier(1), forgetful.connections
    assert participants.send(get(forgetful.url, 0.1)).error == "no answer within 0.1 s"
    assert participants.send(get(forgetful.url)).status == 200


@pytest.mark.parametrize(("kept", "opened"), [(1, 3), (2, 2)])
def test_no_more_idle_connections_are_kept_than_allowed(forgetful, kept, opened):
    participants, forgetful.together = HttpClient(connections=kept), threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(2):  # each time, send two calls at once
            assert [r.status for r in pool.map(participants.send, [get(forgetful.url)] * 2)] == [200] * 2
    assert forgetful.connections == opened


def test_a_client_that_is_dropped_closes_its_connections(peer):
    """Also without the garbage collector, which may run only after a thousand sockets."""
    peer.answers.append(http(b"{}"))
    participants = HttpClient(connections=4)
    assert participants.send(get(peer.url)).status == 200
    gone = ref(participants)
    gc.disable()
    del participants
    collected = gone() is None
    gc.enable()
    assert collected


def test_retry_after_a_lost_answer_uses_a_new_connection(forgetful):
    participants = HttpClient(connections=4)
    forgetful.together = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(participants.send, [get(forgetful.url)] * 2))
    forgetful.together, forgetful.forgot = threading.Barrier(1), forgetful.connections
    forgetful.over.set()  # the forgotten connections close instead of giving no answer
    assert participants.send(get(forgetful.url)).status is None
    assert participants.send(get(forgetful.url)).status == 200
    assert forgetful.connections == 3


def test_connection_is_not_used_after_a_long_idle_time(forgetful):
    now = [0.0]
    participants = HttpClient(connections=4, clock=lambda: now[0])
    participants.send(get(forgetful.url))
    now[0] += IDLE_S - 1
    participants.send(get(forgetful.url))
    assert forgetful.connections == 1
    now[0] += IDLE_S + 1
    assert participants.send(get(forgetful.url)).status == 200
    assert forgetful.connections == 2


def test_silent_name_server_holds_no_call_beyond_its_deadline():
    over = threading.Event()
    participants = HttpClient(connections=1, look_up=lambda *_, **__: over.wait(20))
    reply = participants.send(get("http://stock.test:8010/", 0.1))
    over.set()
    assert (reply.sent, reply.duration_ms < 5000) == (False, True)
    expected = "no connection could be made: the name server did not answer for stock.test in time"
    assert reply.error == expected


def test_a_host_whose_first_address_is_dead_is_reached_by_the_next(peer):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as mute, ExitStack() as waiting:
        for _ in range(4):
            full = waiting.enter_context(socket.socket())
            full.setblocking(False)
            full.connect_ex(mute.getsockname())
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", place.getsockname()) for place in (mute, peer.listener)]
        participants = HttpClient(connections=1, look_up=lambda *_, **__: found)
        peer.answers.append(OK)
        assert participants.send(get("http://stock.test/", 1.0)).status == 200
    assert len(peer.received) == 1


def test_nothing_is_sent_when_tls_never_finishes():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://127.0.0.1:{mute.getsockname()[1]}"
        reply = HttpClient(connections=1).send(get(f"{url}/", 0.2))
    assert (reply.sent, reply.duration_ms < 5000) == (False, True)
    assert reply.error.endswith("did not finish the TLS handshake in time")


def test_participant_that_never_reads_holds_no_call_beyond_its_time():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        body = {"a": "x" * 30_000_000}  # more than the buffers of both sockets hold, so the client cannot send it all
        request = Request(participant="stock", method="POST", url=url, headers={}, body=body, timeout_s=0.2)
        reply = HttpClient(connections=1).send(request)
    assert (reply.status, reply.sent, reply.error) == (None, True, "no answer within 0.2 s")
    assert reply.duration_ms < 5000


def test_rest_of_a_request_is_not_sent_when_its_time_is_over():
    received = [0]
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def read():
            with listener.accept()[0] as connection:
                while piece := connection.recv(65_536):
                    received[0] += len(piece)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        url, size = f"http://127.0.0.1:{listener.getsockname()[1]}/", 30_000_000  # more bytes than one `send` can take
        request = Request(
            participant="stock", method="POST", url=url, headers={}, body={"a": "x" * size}, timeout_s=5.0
        )
        moments = iter([0.0, 0.0, 0.0, 0.0, 0.0, 4.9, 5.1, 5.1])  # the first part is sent at 4.9 s
        reply = HttpClient(1, clock=lambda: next(moments, 5.1)).send(request)
        reader.join(10)
    assert (reply.sent, reply.error) == (True, "no answer within 5 s")
    assert 0 < received[0] < size
