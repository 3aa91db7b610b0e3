"""The call in at_end= between real processes: kill -9 between the end of a saga and the delivery, and during it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from tests.support.waiting import eventually

TABLE = """
from machines import Saga, pivot, post, text

TICKET = Saga(
    name="ticket", version=1, initial="ASKED", completed="SOLD", compensated="NOT_SOLD", data={"who": text()},
    participants=("till", "crm"),
    steps=(pivot("sell", post("till", "/tickets", who="who"), done="SOLD", refused="FULL"),),
    at_end={"SOLD": post("crm", "/sold", who="who", seat="sell.seat")},
)
"""
#: Number of commits of a ticket: before the pivot, and after it.
COMMITS = 2


class Participants(ThreadingHTTPServer):
    """The participants till and crm. crm answers with the statuses in `statuses`, and then with 204; 0: never."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Calls)
        self.received, self.statuses, self.release = [], [], threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Calls(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = 200, b'{"seat": "7B"}'
        if self.path == "/crm/sold":
            self.server.received.append((self.headers["Idempotency-Key"], body))
            status, answer = self.server.statuses.pop(0) if self.server.statuses else 204, b""
            if not status:
                self.server.release.wait(20)
                return
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def crm(tmp_path):
    """Return the participants, and the settings of an orchestrator that calls them."""
    (tmp_path / "sagas").mkdir()
    (tmp_path / "sagas" / "ticket.py").write_text(TABLE)
    with Participants() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server, {"SAGAS": str(tmp_path / "sagas"), "PARTICIPANTS_URL": server.url}
        server.release.set()
        server.shutdown()


def sell(server):
    return requests.post(f"{server.url}/api/v1/sagas/ticket", json={"who": "Ada"}, timeout=60)


def arrived(crm, count):
    return eventually(lambda: crm.received[:] if len(crm.received) >= count else [], f"{count} calls arrive")


def saga_of(server):
    (saga,) = requests.get(f"{server.url}/api/v1/sagas", timeout=20).json()["sagas"]
    return saga["id"], saga["status"]


def test_kill_between_the_end_and_the_call_loses_no_call(orchestrator, crm):
    participants, settings = crm
    dies = orchestrator(**settings, FAILPOINT=f"after_commit:{COMMITS}")
    with pytest.raises(requests.ConnectionError):
        sell(dies)
    dies.process.wait()
    assert participants.received == []
    lives = orchestrator(**settings)
    ((key, body),) = arrived(participants, 1)
    saga_id, status = saga_of(lives)
    assert (key, status) == (f"{saga_id}/at_end.completed/do", "completed")
    assert body == {"who": "Ada", "seat": "7B"}


def test_kill_during_the_call_sends_it_again_with_the_same_key(orchestrator, crm):
    participants, settings = crm
    participants.statuses = [0]
    dies = orchestrator(**settings)
    assert sell(dies).status_code == 201
    arrived(participants, 1)
    dies.kill()
    orchestrator(**settings)
    first, again = arrived(participants, 2)
    assert first == again


def test_failed_call_is_sent_again_and_the_start_has_its_answer_before(orchestrator, crm):
    participants, settings = crm
    participants.statuses = [503]
    server = orchestrator(**settings)
    sold = sell(server)
    assert (sold.status_code, sold.json()["status"]) == (201, "completed")
    first, again = arrived(participants, 2)
    assert first == again
    assert saga_of(server)[1] == "completed"
