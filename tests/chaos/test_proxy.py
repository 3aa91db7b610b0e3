"""The proxy applies each fault as its name says, and counts it."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from tests.chaos.faults import Fault
from tests.chaos.network import Network
from tests.chaos.proxy import ARRIVED
from tests.support.waiting import HOST, eventually


class Participant(BaseHTTPRequestHandler):
    """A participant that counts the requests it receives."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.arrived.append(self.headers["Idempotency-Key"])
        self.send_response(201)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def participant():
    with ThreadingHTTPServer((HOST, 0), Participant) as server:
        server.arrived = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def network(participant, tmp_path_factory):
    network = Network(participant.server_port, seed=1, log=tmp_path_factory.mktemp("proxy") / "log")
    network.process.begin()
    try:
        network.process.wait_until_ready()
        yield network
    finally:
        network.process.kill()


@pytest.mark.parametrize(
    ("fault", "seen", "arrivals"),
    [
        (Fault.LOST_CALL, None, 0),
        (Fault.LATE_CALL, None, 1),
        (Fault.LOST_REPLY, None, 1),
        (Fault.DUPLICATE, 201, 2),
        (Fault.LATE_DUPLICATE, 201, 2),
        (Fault.DELAY, 201, 1),
        (Fault.ERROR_500, 500, 0),
        (Fault.ERROR_503_AFTER, 503, 1),
    ],
)
def test_proxy_applies_each_fault(network, participant, fault, seen, arrivals):
    network.set_faults(share=1.0, kinds=[fault], delay_s=0.1)
    assert answered(network, fault) == seen
    eventually(lambda: participant.arrived.count(fault) == arrivals and network.silent(), "the calls arrive")
    assert network.calls()[fault] == {ARRIVED: 1, fault: 1}


def test_one_participant_can_be_down(network, participant):
    network.set_faults(share=0.0, down=["client"])
    assert (answered(network, "up"), answered(network, "away", "client")) == (201, 503)
    assert (participant.arrived.count("up"), participant.arrived.count("away")) == (1, 0)
    network.set_faults(down=[])
    assert answered(network, "back", "client") == 201


def answered(network, key, participant="stock"):
    """Return the status that the caller receives, or None when its connection was lost."""
    try:
        url = f"{network.url}/{participant}/reserver"
        return requests.post(url, json={}, headers={"Idempotency-Key": key}, timeout=5).status_code
    except requests.ConnectionError:
        return None
