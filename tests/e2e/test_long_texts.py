"""A text of 1 MB, wherever it comes in, takes less than 1 s of CPU time and 50 MB at each page, log line and metric."""

import json
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest
import requests

from app import create_app
from app.config import from_environment
from tests.e2e.fleet import CART
from tests.support.waiting import eventually

SIZE = 1_000_000
PASSWORD = "correct-horse-battery"
#: Texts that are long in different ways: words, names of secrets, URLs, markup, digits, blanks, controls, emoji.
TEXTS = {
    "words": "lorem ipsum ", "one word": "x", "name of a secret": "pwd", "secrets": "token=",
    "secret names": "api_key-", "URL": "://u:", "path": "/../", "markup": "<a b='c'>&",
    "CDATA": "]]>", "quotes": "\"'\\", "brackets": "{[(",
    "digits": "1", "blanks": " ", "lines": "\r\n", "controls": "\x1b[", "right to left": "\u202e\u2066",
    "emoji": "\U0001f600",
    "combining": "a\u0301\u0308", "ids": "00000000-0000-0000-0000-000000000000 ",
}  # fmt: skip
#: Limits of the issue "Nothing from outside can stop it": CPU time of one request, and memory kept after all of them.
MOST_CPU_S, MOST_KEPT_MB = 1.0, 50
#: Texts that this participant sends at the same time.
AT_ONCE = 30


def long(piece: str, size: int = SIZE) -> str:
    return (piece * (size // len(piece.encode()) + 1))[: size // len(piece.encode()) * len(piece)]


def refusal(piece: str) -> bytes:
    """Return a body of about SIZE bytes with a long detail; escapes in JSON make some texts longer."""
    escaped = len(json.dumps(piece, ensure_ascii=False).encode()) - 2
    return json.dumps({"detail": long(piece, SIZE * len(piece.encode()) // escaped)}, ensure_ascii=False).encode()


class Refusing(BaseHTTPRequestHandler):
    """A participant that refuses every call with the server's present detail."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = self.server.reply
        self.send_response(409)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  names of http.server

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def participant():
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def server(participant, orchestrator_at, sqlite_template, tmp_path):
    (tmp_path / "own.db").write_bytes(sqlite_template.read_bytes())
    url = f"http://127.0.0.1:{participant.server_port}"
    return orchestrator_at(f"sqlite:///{tmp_path / 'own.db'}", PARTICIPANTS_URL=url, BREAKER_FAILURES="1000000")


@pytest.fixture
def cookie(server):
    """Return the headers of a signed-in admin."""
    command = [sys.executable, "-m", "app.cli", "user", "add", "ada", "--role=admin", "--password-stdin"]
    subprocess.run(command, env=dict(server.environment), input=PASSWORD, text=True, check=True, capture_output=True)
    shown = requests.get(server.url + "/login", timeout=10)
    form = {"name": "ada", "password": PASSWORD, "csrf_token": re.search(r'csrf_token" value="([^"]+)', shown.text)[1]}
    sent = {"Cookie": shown.headers["Set-Cookie"].partition(";")[0]}
    answers = []

    def signed_in():  # on a busy machine the check of a password takes longer than the service waits for it
        answers.append(requests.post(server.url + "/login", data=form, headers=sent, allow_redirects=False, timeout=10))
        return answers[-1].status_code == 303

    eventually(signed_in, "ada signs in")
    return {"Cookie": answers[-1].headers["Set-Cookie"].partition(";")[0]}


class Meter:
    """Measures what one request costs the process that serves."""

    def __init__(self, server):
        (self._worker,) = psutil.Process(server.process.pid).children()
        self._used = self.cpu_s()

    def cpu_s(self):
        return sum(self._worker.cpu_times()[:2])

    def memory_mb(self):
        return self._worker.memory_info().rss / 1e6

    def check(self, what):
        used, self._used = self.cpu_s() - self._used, self.cpu_s()
        assert used < MOST_CPU_S, f"{what} took {used:.1f} s of CPU time"


def places(saga):
    """Return the path of every page, answer, drawing and metric, about one saga or about all."""
    app = create_app(from_environment({}))
    rules = [rule for rule in app.url_map.iter_rules() if "GET" in rule.methods and rule.endpoint != "static"]
    with app.test_request_context():
        adapter = app.url_map.bind("x")
        return [
            adapter.build(rule.endpoint, {"saga_id": saga} if rule.arguments else {}, method="GET")
            for rule in rules
            if rule.arguments <= {"saga_id"}
        ]


def order(server, **headers):
    answer = requests.post(f"{server.url}/api/commande/checkout", json=CART, headers=headers, timeout=60)
    assert answer.status_code < 500, answer.text
    return answer


@pytest.mark.parametrize("kind", TEXTS)
def test_long_text_of_a_participant_costs_no_page_a_second(server, cookie, participant, kind):
    participant.reply = refusal(TEXTS[kind])
    meter = Meter(server)
    saga = order(server).json()["saga_id"]
    meter.check("the order")
    for path in places(saga):
        answer = requests.get(server.url + path, headers=cookie, timeout=60)
        assert answer.status_code < 500, (path, answer.text[:200])
        meter.check(path)


def test_long_replies_leave_no_memory_behind(server, participant):
    participant.reply = refusal("pwd")
    meter = Meter(server)
    order(server)
    before = meter.memory_mb()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: order(server), range(4 * AT_ONCE)))
    listed = requests.get(f"{server.url}/api/v1/sagas?limit=200", timeout=60)
    assert len(listed.content) < 200 * 4_000
    assert meter.memory_mb() - before < MOST_KEPT_MB


@pytest.mark.parametrize("kind", TEXTS)
def test_long_text_of_a_client_costs_no_second(server, participant, kind):
    participant.reply = b"{}"
    text, meter = long(TEXTS[kind]), Meter(server)
    header = re.sub(r"[^\x20-\x7e]", "?", text).strip()[:60_000] or "x"
    sent = [
        lambda: requests.post(f"{server.url}/api/commande/checkout", json={"client_id": text}, timeout=60),
        lambda: requests.post(f"{server.url}/api/v1/sagas/checkout", json={text[:100_000]: 1}, timeout=60),
        lambda: requests.post(f"{server.url}/login", data={"name": text, "password": text}, timeout=60),
        lambda: requests.get(f"{server.url}/api/v1/sagas", params={"order": text[:20_000]}, timeout=60),
        lambda: order(server, **{"Idempotency-Key": header}),
        lambda: requests.get(server.url + "/ready", headers={"X-Forwarded-For": header}, timeout=60),
        lambda: requests.get(server.url + "/api/v1/sagas", headers={"X-API-Key": header}, timeout=60),
        lambda: requests.request(
            header.split()[0][:200].encode("idna", "ignore").decode() or "M", server.url, timeout=60
        ),
        lambda: requests.get(server.url + "/metrics", timeout=60),
    ]
    for number, send in enumerate(sent):
        with suppress(requests.ConnectionError, ValueError):  # the server or the client refused to exchange it
            assert send().status_code < 500
        meter.check(f"request {number}")
    assert len(requests.get(server.url + "/metrics", timeout=60).content) < SIZE
