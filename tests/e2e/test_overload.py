"""Incomplete requests, silent connections and requests that wait for sagas stop neither /health nor new sagas."""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psutil
import pytest
import requests

from tests.e2e.fleet import CART, slow_payments
from tests.support.servers import OPEN
from tests.support.waiting import eventually, free_port

THREADS = 8
HALF = "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{{"
CHUNK = "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{{"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.fixture
def server(orchestrator_at, sqlite_template, tmp_path):
    (tmp_path / "own.db").write_bytes(sqlite_template.read_bytes())
    return orchestrator_at(f"sqlite:///{tmp_path / 'own.db'}", THREADS=str(THREADS))


@pytest.fixture
def connect(server):
    """Return a function that opens a connection and sends only the given bytes."""
    with ExitStack() as stack:

        def connect(says: str | bytes = b""):
            at = ("127.0.0.1", int(server.url.rpartition(":")[2]))
            made = stack.enter_context(socket.create_connection(at, timeout=120))
            made.sendall(says.encode() if isinstance(says, str) else says)
            return made

        yield connect


def assert_serves(server):
    for path in ("/health", "/ready", "/metrics"):
        assert requests.get(server.url + path, timeout=10).status_code == 200
    answer = requests.post(f"{server.url}/api/commande/checkout", json=CART, timeout=120)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("half", [HALF, CHUNK])
def test_incomplete_requests_stop_neither_health_nor_an_order(server, connect, half):
    for _ in range(6 * THREADS):
        connect(half.format(path="/api/commande/checkout"))
    assert_serves(server)


@pytest.mark.parametrize(("media_type", "status"), [("application/json", b"413"), ("text/plain", b"415")])
def test_refused_large_body_is_read_so_that_its_client_gets_the_answer(server, connect, media_type, status):
    """The kernel resets a connection that is closed with unread bytes, and a gateway then answers 502."""
    size = 2 << 20
    head = f"POST /api/v1/sagas HTTP/1.1\r\nHost: x\r\nContent-Type: {media_type}\r\nContent-Length: {size}\r\n\r\n"
    for _ in range(20):
        connection = connect(head)
        connection.sendall(b"x" * size)
        assert connection.recv(65_536).split(b" ")[1] == status


def test_body_that_is_much_too_large_is_not_read(server, connect):
    head = (
        f"POST /api/v1/sagas HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {1 << 30}\r\n\r\n"
    )
    assert connect(head).recv(65_536).split(b" ")[1] == b"413"


def test_missing_body_is_answered_and_its_connection_closed(server, connect):
    half = connect(HALF.format(path="/api/commande/checkout"))
    began, answer = time.monotonic(), b""
    while received := half.recv(4096):
        answer += received
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer
    assert time.monotonic() - began < 60


def test_a_body_that_comes_in_pieces_is_read(server, connect):
    body = b'{"client_id": 4, "magasin_id": 1}'
    half = connect(f"POST /api/commande/checkout HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                   f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n")  # fmt: skip
    for byte in body:
        half.sendall(bytes([byte]))
    assert half.recv(4096).startswith(b"HTTP/1.1 201 ")


def test_form_without_a_session_is_refused_before_its_body_is_read(server, connect):
    half = connect("POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
    assert half.recv(4096).startswith(b"HTTP/1.1 403 ")


def test_too_large_body_is_refused_before_it_is_read(server, connect):
    half = connect(HALF.format(path="/api/commande/checkout").replace("60", "99999999"))
    assert half.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_http_2_preface_is_refused(server, connect):
    answer = connect(PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00").recv(4096)
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")
    assert_serves(server)


def test_silent_connections_do_not_stop_the_service(server, connect):
    for _ in range(1100):
        connect()
    assert_serves(server)


def test_requests_that_wait_for_their_sagas_leave_room_for_others(server, participants):
    """A limited number of requests can wait for their sagas. All others get 202 at once, and every order ends."""
    slow_payments(participants, 8)

    def order(_):
        return requests.post(f"{server.url}/api/commande/checkout", json=CART, timeout=60).status_code

    def confirmed():
        url = f"{server.url}/api/v1/sagas?status=completed&limit=1"
        return requests.get(url, timeout=10).json()["pagination"]["total"] == 4 * THREADS

    with ThreadPoolExecutor(4 * THREADS) as pool:
        waiting = [pool.submit(order, number) for number in range(4 * THREADS)]
        eventually(lambda: any(each.done() for each in waiting), "one is answered at once")
        for path in ("/health", "/ready"):
            assert requests.get(server.url + path, timeout=5).status_code == 200
        answers = [each.result() for each in waiting]
    assert set(answers) <= {201, 202}
    assert answers.count(202) >= THREADS
    participants.clear_faults()
    eventually(confirmed, "every order is confirmed")
    participants.assert_balanced()


def test_an_orphan_worker_ends_and_its_server_can_be_started_again(server, tmp_path):
    port = server.url.rpartition(":")[2]
    (worker,) = psutil.Process(server.process.pid).children()
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    with (tmp_path / "again.log").open("wb") as log:
        again = subprocess.Popen([sys.executable, "-m", "app"], env=server.environment, stdout=log, stderr=log)
    try:
        eventually(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, "the orphan ends")
        eventually(lambda: again.poll() is None and _is_up(port), "the new one serves")
    finally:
        again.terminate()
        again.wait()


def test_participants_end_with_their_server(tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "participants", "--port", str(port), "--data", str(tmp_path)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | OPEN, stdout=log, stderr=log)
    eventually(lambda: _is_up(port, "/stock/health"), "it serves")
    (worker,) = psutil.Process(process.pid).children()
    process.kill()
    process.wait()
    eventually(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, "the orphan ends")


def _is_up(port, path="/health"):
    try:
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=2).ok
    except requests.RequestException:
        return False
