"""Redis only saves work. When Redis is emptied, killed or frozen during a run, every result stays the same."""

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import requests

from app.access.key_limits import Rate, Requests
from app.breaker import BreakerPolicy
from app.calls.breakers import GuardedSender
from app.calls.client import Request
from app.errors import BusyError
from app.shared_cache import SharedCache
from machines.replies import Reply
from tests.e2e.fleet import CART
from tests.e2e.servers import Redis, running
from tests.support.databases import own_database
from tests.support.waiting import eventually

pytestmark = pytest.mark.programs
SECRET = "s" * 40
CHECKOUT = "/api/commande/checkout"


@pytest.fixture
def store_url(postgres_server, postgres_template):
    yield from own_database(postgres_server, postgres_template)


@pytest.fixture
def server():
    with running(Redis) as redis:
        yield redis


def ask(web, body, key):
    """Send one checkout and return the answer."""
    return requests.post(web.url + CHECKOUT, json=body, headers={"Idempotency-Key": key}, timeout=120)


@pytest.mark.parametrize("blow", ["flush", "kill", "freeze"])
def test_forty_checkouts_end_as_they_would_without_redis(orchestrator, participants, server, blow):
    web = orchestrator(REDIS_URL=server.cache_url, LEASE_S="30")
    blows = {"flush": lambda: server.asked("FLUSHALL"), "kill": server.kill, "freeze": server.freeze}
    keys = [str(uuid.uuid4()) for _ in range(40)]

    def check_out(number):
        if number == 25:
            blows[blow]()
        body = CART | {"client_id": 4 if number % 4 else 2}
        return [ask(web, body, keys[number]) for _ in range(2)]

    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(check_out, range(40)))
    for number, (first, again) in enumerate(answers):
        assert first.status_code == again.status_code == (201 if number % 4 else 409)
        assert first.json() == again.json()
        assert again.headers["Idempotent-Replayed"] == "true"
    assert len({first.json()["saga_id"] for first, _ in answers}) == 40
    effects = Counter(len(participants.effects(first.json()["saga_id"])) for first, _ in answers)
    assert effects == {4: 30, 2: 10}
    participants.assert_balanced()


def test_only_one_of_twenty_requests_with_one_key_reads_the_cart(orchestrator, participants, server):
    web, key, gate = orchestrator(REDIS_URL=server.cache_url, LEASE_S="30"), str(uuid.uuid4()), Barrier(20)
    participants.add_fault("panier", kind="slow", times=100, seconds=0.2)

    def check_out(_number):
        gate.wait()
        return ask(web, CART, key)

    with ThreadPoolExecutor(20) as clients:
        answers = list(clients.map(check_out, range(20)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["saga_id"] for answer in answers}) == 1
    (counted,) = participants.get("/panier/_faults")
    assert counted["times"] == 99
    participants.assert_balanced()


class Peer:
    """A participant whose reply the test sets. `now` is the clock of all processes that call it."""

    def __init__(self, url):
        self._url, self.now, self.during = url, 0.0, lambda: None
        self.reply = Reply(status=503, body={})
        self.request = Request(
            participant="stock", method="POST", url="http://stock/", headers={}, body={}, timeout_s=5.0
        )

    def guarded(self):
        policy = BreakerPolicy(failures=3, open_s=30, window_s=60)
        return GuardedSender(self, dict.fromkeys(["stock"]), policy, SharedCache(self._url, SECRET), lambda: self.now)

    def fail(self, guarded):
        for _ in range(3):
            guarded.send(self.request)

    def send(self, _request):
        self.during()
        return self.reply


def breaker(web, participant):
    line = f'saga_breaker_state{{participant="{participant}"}} '
    said = requests.get(f"{web.url}/metrics", timeout=5).text
    return next(float(text.removeprefix(line)) for text in said.splitlines() if text.startswith(line))


def test_open_breaker_holds_for_all_processes(orchestrator, participants, server):
    settings = {"REDIS_URL": server.cache_url, "BREAKER_FAILURES": "3", "BREAKER_OPEN_S": "60", "LEASE_S": "30"}
    finds, learns = orchestrator(**settings), orchestrator(**settings)
    participants.add_fault("client", kind="fail", path="/4/payer", times=1000)
    for _ in range(3):
        requests.post(finds.url + CHECKOUT, json=CART, headers={"Prefer": "respond-async"}, timeout=10)
    eventually(lambda: breaker(finds, "client") == 2, "it is open where it was found")
    eventually(lambda: breaker(learns, "client") == 2, "it is open elsewhere")
    (fault,) = participants.get("/client/_faults")
    stopped = requests.post(learns.url + CHECKOUT, json=CART, headers={"Prefer": "wait=1"}, timeout=10)
    assert (stopped.status_code, stopped.json()["etat_actuel"]) == (202, "STOCK_RESERVE")
    assert participants.get("/client/_faults") == [fault], "nothing more was sent"


@pytest.mark.parametrize("well", [True, False])
def test_only_one_process_makes_the_trial_call(server, well):
    peer = Peer(server.cache_url)
    first, second = peer.guarded(), peer.guarded()
    peer.fail(first)
    second.learn()
    peer.now += 30
    peer.reply = Reply(status=200 if well else 503, body={})
    peer.during = lambda: replies.append(second.send(peer.request))
    replies = []
    assert first.send(peer.request) is peer.reply
    assert [reply.sent for reply in replies] == [False]
    peer.during = lambda: None
    peer.now += 5
    second.learn()
    assert second.send(peer.request).sent is well


def test_each_process_makes_trial_calls_without_redis(server):
    peer = Peer(server.cache_url)
    first, second = peer.guarded(), peer.guarded()
    peer.fail(first)
    second.learn()
    server.kill()
    peer.now += 30
    assert (first.send(peer.request).sent, second.send(peer.request).sent) == (True, True)


def test_all_processes_count_the_requests_of_a_key_together(server):
    rate, now = Rate.of("3/minute"), 1000.0
    first, second = (Requests(SharedCache(server.cache_url, SECRET), lambda: now) for _ in range(2))
    for process in (first, second, first):
        process.count("saga_1", rate)
    with pytest.raises(BusyError):
        second.count("saga_1", rate)
    first.count("saga_2", rate)
    server.kill()
    for _ in range(3):
        second.count("saga_1", rate)  # without Redis, each process counts its own requests
    with pytest.raises(BusyError):
        second.count("saga_1", rate)
