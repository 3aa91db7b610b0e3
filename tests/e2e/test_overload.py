"""Incomplete requests, silent connections and requests that wait for sagas stop neither /health nor new sagas."""

import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import psutil
import pytest
import requests

from app.serving import CONNECTION_BUFFER_BYTES
from tests.e2e.fleet import CART, STACK, slow_payments
from tests.support.servers import OPEN
from tests.support.waiting import eventually, free_port, waited

THREADS = 8
HEAD = "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\n"
JSON = HEAD.replace("{media_type}", "application/json")
HALF = f"{JSON}Content-Length: 60\r\n\r\n{{{{"
CHUNK = f"{JSON}Transfer-Encoding: chunked\r\n\r\n5\r\n{{{{"
#: Memory limit of a replica in the given stack.
LIMIT_BYTES = int(STACK["saga-orchestrator-1"]["deploy"]["resources"]["limits"]["memory"].removesuffix("M")) << 20
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
    head = HEAD.format(path="/api/v1/sagas", media_type=media_type) + f"Content-Length: {size}\r\n\r\n"
    for _ in range(20):
        connection = connect(head)
        connection.sendall(b"x" * size)
        assert connection.recv(65_536).split(b" ")[1] == status


def test_body_that_is_much_too_large_is_not_read(server, connect):
    head = JSON.format(path="/api/v1/sagas") + f"Content-Length: {1 << 30}\r\n\r\n"
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
    half = connect(f"POST /api/commande/checkout HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                   f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n")  # fmt: skip
    for byte in body:
        half.sendall(bytes([byte]))
    assert half.recv(4096).startswith(b"HTTP/1.1 201 ")


def test_form_without_a_session_is_refused_before_its_body_is_read(server, connect):
    half = connect("POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n")
    assert half.recv(4096).startswith(b"HTTP/1.1 403 ")


def test_too_large_body_is_refused_before_it_is_read(server, connect):
    half = connect(HALF.format(path="/api/commande/checkout").replace("60", "99999999"))
    assert half.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_headers_that_would_fill_the_memory_are_refused_before_their_end(server, connect):
    half = connect("GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + "a" * CONNECTION_BUFFER_BYTES)
    assert half.recv(4096).startswith(b"HTTP/1.1 431 ")


def test_http_2_preface_is_refused(server, connect):
    answer = connect(PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00").recv(4096)
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")
    assert_serves(server)


def test_silent_connections_do_not_stop_the_service(server, connect):
    for _ in range(1100):
        connect()
    assert_serves(server)


def test_answers_that_nobody_reads_do_not_fill_the_memory(server):
    """An answer takes room for its size, or for 256 KiB of a file, until its client has read it or is gone."""
    at = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    for path in ("/static/swagger/swagger-ui-bundle.js", "/openapi.json"):
        url = server.url + path
        with ExitStack() as stack:
            for _ in range(40):
                slow = stack.enter_context(socket.socket())
                slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                slow.connect(at)
                slow.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            eventually(lambda url=url: requests.get(url, timeout=60).status_code == 503, "no room is left")
            assert int(requests.get(url, timeout=60).headers["Retry-After"]) > 0
            assert_serves(server)
        eventually(lambda url=url: requests.get(url, timeout=60).status_code == 200, "the room is free again")


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


def test_everything_at_once_stops_neither_health_nor_the_orders_within_the_deployed_memory(
    orchestrator_at, participants, sqlite_template, tmp_path
):
    """Incomplete requests, silent connections, waiting orders and sign-ins: as many as the security review named."""
    (tmp_path / "storm.db").write_bytes(sqlite_template.read_bytes())
    (tmp_path / "idle.db").write_bytes(sqlite_template.read_bytes())
    idle = orchestrator_at(f"sqlite:///{tmp_path / 'idle.db'}")
    times = {"LEASE_S": "30", "RECOVERY_INTERVAL_S": "1", "WAIT_S": "5", "BREAKER_OPEN_S": "1"}
    server = orchestrator_at(f"sqlite:///{tmp_path / 'storm.db'}", THREADS="128", **times)
    participants.add_fault("client", kind="slow", path="/4/payer", times=10, seconds=1)
    port = int(server.url.rpartition(":")[2])
    body = json.dumps(CART).encode()
    order = (JSON.format(path="/api/commande/checkout") + f"Content-Length: {len(body)}\r\n\r\n").encode() + body
    with requests.Session() as person, ExitStack() as stack, probed(server, idle) as (times_s, idle_s, memory):

        def connect(says=b""):
            made = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=120))
            made.sendall(says)
            return made

        token = re.search('name="csrf_token" value="([^"]+)"', person.get(f"{server.url}/login", timeout=60).text)[1]
        cookie = "; ".join(f"{each.name}={each.value}" for each in person.cookies)
        form = f"POST /login HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nContent-Length: 60\r\n\r\nc"
        halves = [form, *(kind.format(path="/api/commande/checkout") for kind in (HALF, CHUNK))]
        for number in range(2 * 128):
            connect(halves[number % 3].encode())
        for _ in range(1100):
            connect()
        waiting = [connect(order) for _ in range(300)]

        def sign_in(number):
            sent = {"csrf_token": token, "name": f"n{number}", "password": "wrong horse battery"}
            return requests.post(f"{server.url}/login", sent, headers={"Cookie": cookie}, timeout=120).status_code

        with ThreadPoolExecutor(32) as pool:
            assert set(pool.map(sign_in, range(32))) <= {401, 429}
        answers = Counter(connection.recv(65_536).split(b" ")[1] for connection in waiting)
        assert set(answers) <= {b"201", b"202"}, answers
        # On a busy machine a participant can fail until its order is compensated. This is an end, too.
        waited(lambda: ended(server).total() == 300, 180)
        assert ended(server).total() == 300, ended(server)
    assert p95(times_s) < max(0.1, 3 * p95(idle_s)), (p95(times_s), p95(idle_s))
    assert max(memory) < LIMIT_BYTES
    participants.assert_balanced()


def ended(server):
    url = f"{server.url}/api/v1/sagas"
    of = {status: {"status": status, "limit": 1} for status in ("completed", "compensated")}
    return Counter({name: requests.get(url, of[name], timeout=60).json()["pagination"]["total"] for name in of})


def p95(times_s):
    return statistics.quantiles(times_s, n=20)[-1]


@contextmanager
def probed(server, idle):
    """Ask /health of both servers all the time.

    Yield the times that the answers of each take, in seconds, and the bytes of memory of the first.
    """
    times_s, idle_s, memory, stop = [], [], [], threading.Event()
    process = psutil.Process(server.process.pid)
    (worker,) = process.children()

    def probe():
        while not stop.wait(0.02):
            for asked, taken_s in ((server, times_s), (idle, idle_s)):
                began = time.monotonic()
                assert requests.get(f"{asked.url}/health", timeout=60).status_code == 200
                taken_s.append(time.monotonic() - began)
            memory.append(worker.memory_info().rss + process.memory_full_info().uss)

    with ThreadPoolExecutor(1) as pool:
        probing = pool.submit(probe)
        try:
            yield times_s, idle_s, memory
        finally:
            stop.set()
        probing.result()


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
