"""One suite of HTTP cases for two senders: `HttpClient` (ours), and the library requests (the reference).

Where the two results differ, the case contains the reference's result and the reason for the difference.
"""

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from app.calls.answer import LARGEST_REPLY_BYTES
from app.calls.client import HttpClient, Request
from machines.replies import Reply
from tests.support.reference_sender import ReferenceSender
from tests.support.scripted_server import ScriptedServer, http, serving

SENDERS: dict[str, Callable] = {"ours": lambda: HttpClient(connections=4), "requests": ReferenceSender}
JSON = b'{"a": 1}'
UNREADABLE, LOST = "unreadable", "lost"


@pytest.fixture(params=SENDERS)
def kind(request) -> str:
    return request.param


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving() as server:
        yield server


def ask(url: str, method: str = "POST", body: Any = (), timeout_s: float = 3.0, **headers: str) -> Request:
    return Request(
        participant="stock",
        method=method,
        url=f"{url}/stock/reserve",
        headers=headers,
        body={} if body == () else body,
        timeout_s=timeout_s,
    )


def meaning(reply: Reply) -> Any:
    """Return the values that the tests compare: the status with the body, or the reason why there is no status."""
    if reply.status is None:
        return LOST if reply.sent else "not sent"
    return reply.status, UNREADABLE if reply.unreadable else reply.body


@dataclass(frozen=True)
class Case:
    """One answer of a server, and the result of a sender that receives it."""

    name: str
    answer: bytes | tuple[bytes, ...] | None
    means: Any
    #: The result of the reference. None: the reference has the same result as ours.
    reference: Any = None
    #: The reason why our result differs from the reference's result.
    why: str = ""
    #: True when the server closes the connection after its answer.
    closes: bool = False


def coded(content: bytes, coding: str) -> bytes:
    return http(content, headers=f"Content-Encoding: {coding}\r\n")


def raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
CASES = [
    # Content codings. The requests accept none.
    Case("gzip", coded(gzip.compress(JSON), "gzip"), (200, {"a": 1})),
    Case("gzip in capitals", coded(gzip.compress(JSON), "GZIP"), (200, {"a": 1})),
    Case("x-gzip", coded(gzip.compress(JSON), "x-gzip"), (200, {"a": 1})),
    Case("gzip in two members", coded(gzip.compress(JSON[:4]) + gzip.compress(JSON[4:]), "gzip"), (200, {"a": 1})),
    Case("gzip twice", coded(gzip.compress(gzip.compress(JSON)), "gzip, gzip"), (200, {"a": 1})),
    Case("deflate", coded(zlib.compress(JSON), "deflate"), (200, {"a": 1})),
    Case("deflate without its header", coded(raw_deflate(JSON), "deflate"), (200, {"a": 1})),
    Case("identity", coded(JSON, "identity"), (200, {"a": 1})),
    Case("an unknown coding", coded(JSON + b"\xff", "br"), (200, UNREADABLE)),
    Case("gzip that is broken", coded(b"\x1f\x8b" + b"x" * 20, "gzip"), (200, UNREADABLE)),
    Case(
        "gzip cut off",
        coded(gzip.compress(JSON * 1000)[:-9], "gzip"),
        (200, UNREADABLE),
    ),
    Case("gzip and no byte", coded(b"", "gzip"), (200, {})),
    # Bodies.
    Case("an object", http(JSON), (200, {"a": 1})),
    Case("an array", http(b'[{"id": 7}, 2]'), (200, [{"id": 7}, 2])),
    Case("a text", http(b'"booked"'), (200, {"value": "booked"})),
    Case("a number", http(b"12"), (200, {"value": 12})),
    Case("a truth", http(b"true"), (200, {"value": True})),
    Case("null", http(b"null"), (200, {})),
    Case("nothing", http(b""), (200, {})),
    Case("no JSON", http(b"<html>"), (200, UNREADABLE)),
    Case("a byte order mark", http(b"\xef\xbb\xbf" + JSON), (200, {"a": 1})),
    Case("an escaped backslash", http(b'{"path": "C:\\\\u0000"}'), (200, {"path": "C:\\u0000"})),
    Case("a NUL", http(b'{"path": "\\u0000"}'), (200, UNREADABLE)),
    Case("a long integer", http(b"[12345678901234567890123]"), (200, [Decimal(12345678901234567890123)])),
    Case("a long decimal", http(b"[0.10000000000000000001]"), (200, [Decimal("0.10000000000000000001")])),
    Case("a number beyond all bounds", http(b"[" + b"9" * 401 + b"]"), (200, UNREADABLE)),
    Case(
        "too large",
        http(b'"' + b"x" * LARGEST_REPLY_BYTES + b'"'),
        (200, UNREADABLE),
        (200, {"value": "x" * LARGEST_REPLY_BYTES}),
        "the reference reads any size, and ours must be kept in a row",
    ),
    # The protocol.
    Case("100 before", b"HTTP/1.1 100 Continue\r\n\r\n" + http(JSON), (200, {"a": 1})),
    Case(
        "103 twice before",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 2 + http(JSON, "409 No"),
        (409, {"a": 1}),
        (103, {}),
        "http.client takes an informational answer other than 100 for the answer",
    ),
    Case(
        "101, which nobody asked for",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        LOST,
        (101, {}),
        "an answer follows a 1xx, and after this one none can",
    ),
    Case("status 0", http(JSON, "000 Nothing"), LOST),
    Case("status 99", http(JSON, "99 Nothing"), LOST),
    Case("100 and nothing", b"HTTP/1.1 100 Continue\r\nContent-Length: 8\r\n\r\n" + JSON, LOST, closes=True),
    Case("HTTP/1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\n" + JSON, (200, {"a": 1})),
    Case("HTTP/1.0 until it closes", b"HTTP/1.0 200 OK\r\n\r\n" + JSON, (200, {"a": 1}), closes=True),
    Case("HTTP/1.1 until it closes", b"HTTP/1.1 201 OK\r\n\r\n" + JSON, (201, {"a": 1}), closes=True),
    Case("no reason", b"HTTP/1.1 200\r\nContent-Length: 8\r\n\r\n" + JSON, (200, {"a": 1})),
    Case("chunked", CHUNKED + b'\r\n4\r\n{"a"\r\n4\r\n: 1}\r\n0\r\n\r\n', (200, {"a": 1})),
    Case("chunked in pieces", (CHUNKED + b'\r\n4\r\n{"', b'a"\r\n4;x=y\r\n: 1}\r\n0\r', b"\n\r\n"), (200, {"a": 1})),
    Case("chunked with a trailer", CHUNKED + b"\r\n8\r\n" + JSON + b"\r\n0\r\nDigest: x\r\n\r\n", (200, {"a": 1})),
    Case("chunked and cut off", CHUNKED + b'\r\n4\r\n{"a"\r\n', LOST, closes=True),
    Case("204", b"HTTP/1.1 204 No Content\r\n\r\n", (204, {})),
    Case("304", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 8\r\n\r\n", (304, {})),
    Case("a redirect is not followed", http(b"", "302 Found", "Location: http://127.0.0.1:9/\r\n"), (302, {})),
    Case("cut short", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" + JSON, LOST, closes=True),
    Case("no HTTP", b"SSH-2.0-OpenSSH\r\n", LOST),
    Case("no answer", None, LOST),
    Case(
        "a header in two lines", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 8\r\n\r\n" + JSON, (200, {"a": 1})
    ),
    Case(
        "lines that end with LF alone",
        b"HTTP/1.1 200 OK\nContent-Length: 8\n\n" + JSON,
        (200, {"a": 1}),
    ),
    Case("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nContent-Length: 9\r\n\r\n" + JSON, LOST),
    Case("a length that is no number", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n" + JSON, LOST),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_answer_has_one_meaning(case: Case, kind: str, server: ScriptedServer):
    server.answers.append(case.answer)
    if case.closes:
        server.release.set()
    differs = kind == "requests" and case.reference is not None
    assert meaning(SENDERS[kind]().send(ask(server.url, timeout_s=1.0))) == (case.reference if differs else case.means)
    assert bool(case.why) == (case.reference is not None), "a difference is explained"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("body", [None, {"b": [1.5, None], "a": "é"}])
def test_request_is_the_same_for_both_senders(method: str, body: Any, kind: str, server: ScriptedServer):
    server.answers.append(http(JSON))
    SENDERS[kind]().send(ask(server.url, method, body, **{"Idempotency-Key": "k/1"}))
    assert server.received[0].startswith(f"{method} /stock/reserve HTTP/1.1\r\n".encode())
    headers = server.headers()
    sent = '{"a":"é","b":[1.5,null]}'.encode() if body else b""
    length = str(len(sent)) if body else None if method == "GET" else "0"
    expected = {
        "host": server.url[7:],
        "idempotency-key": "k/1",
        "content-length": length,
        "accept-encoding": "identity",
        "user-agent": "saga-orchestrator",
    }
    assert {name: headers.get(name) for name in expected} == expected
    assert headers.get("content-type") == ("application/json" if body else None)
    assert server.body() == sent


def test_form_is_sent_with_its_content_type(kind: str, server: ScriptedServer):
    server.answers.append(http(JSON))
    request = ask(server.url, body={"amount": "12.30", "note": "a b&é", "id": [1, 2]})
    request.form = True
    SENDERS[kind]().send(request)
    assert server.headers()["content-type"] == "application/x-www-form-urlencoded"
    assert server.body() == b"amount=12.30&note=a+b%26%C3%A9&id=1&id=2"


def test_encoded_path_is_not_encoded_again(kind: str, server: ScriptedServer):
    server.answers.append(http(JSON))
    request = ask(server.url)
    request.url = f"{server.url}/a%2Fb/%C3%A9?q=x%20y&z=1%2B1"
    SENDERS[kind]().send(request)
    assert server.received[0].startswith(b"POST /a%2Fb/%C3%A9?q=x%20y&z=1%2B1 HTTP/1.1\r\n")


def test_connection_is_used_again(kind: str, server: ScriptedServer):
    server.answers += [http(JSON), http(b"", "204 No Content"), http(JSON)]
    sender = SENDERS[kind]()
    assert [sender.send(ask(server.url)).status for _ in range(3)] == [200, 204, 200]
    assert server.connections == 1


def test_connection_is_not_used_when_closed_while_idle(kind: str, server: ScriptedServer):
    sender = SENDERS[kind]()
    for _ in range(2):
        server.answers.append(http(JSON))
        server.release.set()  # the server closes the connection after its last answer
        assert sender.send(ask(server.url)).status == 200
        assert server.closed.acquire(timeout=10)
    assert server.connections == 2


def test_connection_is_not_used_after_connection_close(kind: str, server: ScriptedServer):
    server.answers += [http(JSON, headers="Connection: close\r\n"), http(JSON)]
    sender = SENDERS[kind]()
    assert [sender.send(ask(server.url)).status for _ in range(2)] == [200, 200]
    assert server.connections == 2


def test_cookie_is_not_sent_back(kind: str, server: ScriptedServer):
    """The reference sends the cookie back. Ours keeps no cookies, because no call may depend on an earlier call."""
    server.answers += [http(JSON, headers="Set-Cookie: session=1\r\n"), http(JSON)]
    sender = SENDERS[kind]()
    for _ in range(2):
        sender.send(ask(server.url))
    assert server.headers().get("cookie") == ("session=1" if kind == "requests" else None)


def test_early_answer_is_read_when_the_body_is_not(kind: str):
    """A server can answer 413 after the head of a request, and close the connection before it has the whole body."""
    with serving(reads_body=False) as server:
        server.answers.append(http(JSON, "413 Too large", "Connection: close\r\n"))
        server.release.set()
        reply = SENDERS[kind]().send(ask(server.url, body={"a": "x" * 8_000_000}))
    assert meaning(reply) == (413, {"a": 1})


def test_header_of_the_reply_can_be_read(kind: str, server: ScriptedServer):
    server.answers.append(http(JSON, "201 Created", "Location: /bookings/7\r\nx-tag: a\r\nX-Tag: b\r\n"))
    reply = SENDERS[kind]().send(ask(server.url))
    assert (reply.header("location"), reply.header("X-TAG"), reply.header("ETag")) == ("/bookings/7", "a, b", None)


def test_dripping_answer_ends_at_the_timeout(kind: str, server: ScriptedServer):
    """The reference restarts its timeout at each piece. So a participant could delay a saga beyond its lease."""
    drops = tuple(bytes([letter]) for letter in http(JSON)[:25])
    server.answers.append((*drops, http(JSON)[25:]))
    reply = SENDERS[kind]().send(ask(server.url, timeout_s=0.3))
    assert meaning(reply) == ((200, {"a": 1}) if kind == "requests" else LOST)
