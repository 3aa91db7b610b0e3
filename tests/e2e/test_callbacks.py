"""SIGKILL at each boundary of a call that is accepted with 202 and answered by a callback, over HTTP."""

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from tests.e2e.crashing import CALLBACK_BOUNDARIES
from tests.support.servers import Server, start
from tests.support.waiting import eventually, free_port

SAGAS = Path(__file__).parents[1] / "support" / "later_sagas"
PAID = {"payment": {"id": "p1", "state": "paid"}}


class Bank:
    """A participant that accepts each payment once for its key.

    It repeats its answer until the orchestrator has accepted or refused the answer.
    """

    def __init__(self) -> None:
        bank, self.keys, self.answers = self, list[str](), list[int]()
        self.stopped = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Idempotency-Key"] not in bank.keys:
                    bank.keys.append(self.headers["Idempotency-Key"])
                    threading.Thread(target=bank.say, args=(self.headers["Saga-Reply-To"],), daemon=True).start()
                self.send_response(202)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def say(self, url: str) -> None:
        while not self.stopped.wait(0.1):
            with suppress(requests.RequestException):
                self.answers.append(requests.post(url, json=PAID, timeout=10).status_code)
                if self.answers[-1] in (200, 404, 409, 410):
                    return

    def close(self) -> None:
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def bank() -> Iterator[Bank]:
    made = Bank()
    yield made
    made.close()


def serve(url: str, bank: Bank, port: int, folder: Path, failpoint: str = "") -> Server:
    settings = {
        "DATABASE_URL": url, "SAGAS": str(SAGAS), "PUBLIC_URL": f"http://127.0.0.1:{port}", "PORT": str(port),
        "PARTICIPANT_BANK_URL": bank.url, "LEASE_S": "1", "FAILPOINT": failpoint, "WAIT_S": "1",
    }  # fmt: skip
    return start("app", "/health", port, log=folder / "log", **settings)


def saga(server: Server) -> dict[str, str]:
    """Start the saga with its key, or get the one that was started with it."""
    with suppress(requests.RequestException):
        answer = requests.post(
            f"{server.url}/api/v1/sagas/sale", json={"customer": "Ada"}, headers={"Idempotency-Key": "k"}, timeout=10
        )
        return dict(json.loads(answer.text))
    return {}


@pytest.mark.parametrize(("place", "number"), CALLBACK_BOUNDARIES)
def test_a_kill_at_each_boundary_loses_no_answer_and_pays_once(store_url, bank, tmp_path, place, number):
    port = free_port()
    doomed = serve(store_url, bank, port, tmp_path, f"{place}:{number}")
    saga(doomed)
    eventually(lambda: doomed.process.poll() is not None, f"it dies at {place}:{number}")
    server = serve(store_url, bank, port, tmp_path)
    try:
        eventually(lambda: saga(server).get("state") == "PAID", "the saga ends")
        eventually(lambda: bank.answers, "the bank's answer is accepted, when its connection was lost before")
    finally:
        server.kill()
    assert len(bank.keys) == 1
    assert bank.answers[-1] == 200
