"""Against a real socket, which answers byte for byte what a test wants."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from app.participants.client import LARGEST_REPLY_BYTES, Participants, Request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + b'{"a": 1}'


def http(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


class Peer:
    """Answers each request on each connection with the next of its answers; None closes without an answer."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.answers: list[bytes | None] = []
        self.received: list[bytes] = []
        self.connections = 0
        self.release = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection:
            while self.answers:
                received = _whole_request(connection)
                if not received:
                    return
                self.received.append(received)
                answer = self.answers.pop(0)
                if answer is None:
                    return
                connection.sendall(answer)
            self.release.wait(10)


def _whole_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65_536)
        if not more:
            return b""
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]):
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.release.set()
    peer.listener.close()


@pytest.fixture
def send(peer: Peer) -> Callable:
    participants = Participants(connections=4)

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


def test_a_json_object_is_understood(send, peer):
    reply = send(OK, body={"montant": 59.97, "é": "ü"})
    assert (reply.status, reply.body, reply.sent) == (200, {"a": 1}, True)
    assert peer.received[0].startswith(b"POST /stock/reserver HTTP/1.1\r\n")
    assert b"Idempotency-Key: k\r\n" in peer.received[0]
    assert b"Content-Type: application/json\r\n" in peer.received[0]
    assert peer.received[0].endswith('{"montant":59.97,"é":"ü"}'.encode())


def test_a_get_has_no_body(send, peer):
    send(OK, method="GET")
    assert b"Content-Length" not in peer.received[0]


def test_the_gateway_on_the_way_is_shown_its_key(peer):
    peer.answers.append(OK)
    request = Request(
        participant="stock", method="GET", url=f"http://127.0.0.1:{peer.port}/", headers={}, body=None, timeout_s=5
    )
    Participants(connections=1, api_key="k-1").send(request)
    assert b"X-API-Key: k-1\r\n" in peer.received[0]


def test_a_connection_serves_again(send, peer):
    send(OK, OK)
    assert send().status == 200
    assert peer.connections == 1


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'"text"', b"\xff", b'{"a": NaN}', b'{"a": "\\u0000"}', b'{"a": '])
def test_a_body_that_cannot_be_kept_is_not_understood(send, body):
    reply = send(http(body))
    assert (reply.status, reply.body, reply.sent) == (200, None, True)


def test_no_body_is_an_empty_object(send):
    assert send(http(b"", "204 No Content")).body == {}


def test_a_redirect_is_not_followed(send, peer):
    reply = send(http(b"", "302 Found", f"Location: http://127.0.0.1:{peer.port}/other\r\n"))
    assert (reply.status, len(peer.received)) == (302, 1)


def test_a_lost_answer_was_sent_and_is_not_sent_again(send, peer):
    reply = send(None)
    assert (reply.status, reply.sent, reply.error) == (None, True, "the connection was lost before the answer")
    assert len(peer.received) == 1


def test_half_an_answer_was_sent(send, peer):
    reply = send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", timeout_s=0.3)
    assert (reply.body, reply.sent) == (None, True)


def test_an_answer_that_does_not_come_in_time_was_sent(send):
    reply = send(b"", timeout_s=0.2)
    assert (reply.status, reply.sent, reply.error) == (None, True, "no answer within 0.2 s")


def test_a_refused_connection_was_not_sent(send):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        unused = probe.getsockname()[1]
    reply = send(port=unused)
    assert (reply.sent, reply.error) == (False, "no connection could be made")


def test_an_answer_without_an_end_is_not_read_to_its_end(send):
    reply = send(http(b'{"a": "' + b"x" * LARGEST_REPLY_BYTES + b'"}'))
    assert (reply.status, reply.body) == (200, None)


def test_retry_after_in_seconds_is_read_and_a_date_is_not(send):
    assert send(http(b"", "503 Busy", "Retry-After: 7\r\n")).retry_after_s == 7.0
    assert send(http(b"", "503 Busy", "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n")).retry_after_s == 0.0


def test_a_participant_that_drips_its_answer_does_not_hold_the_saga(peer):
    moments = iter([0.0, 100.0, 100.0])
    peer.answers.append(OK)
    request = Request(
        participant="map", method="GET", url=f"http://127.0.0.1:{peer.port}/", headers={}, body=None, timeout_s=5.0
    )
    assert Participants(1, clock=lambda: next(moments)).send(request).body is None
