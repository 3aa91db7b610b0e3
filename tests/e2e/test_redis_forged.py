"""What somebody else writes into Redis is not believed: no answer, no open breaker and no lock comes from it."""

import uuid

import pytest
import requests
from redis.exceptions import AuthenticationError, NoPermissionError

from app.breaker import BreakerPolicy, BreakerState
from app.calls.breakers import GuardedSender
from app.calls.client import Request
from app.shared_cache import SharedCache
from machines.replies import Reply
from tests.e2e.fleet import CART
from tests.e2e.servers import Redis, running
from tests.support.databases import own_database

pytestmark = pytest.mark.programs
SECRET, OPEN_S, YEAR_MS = "s" * 40, 30.0, 31_536_000_000


@pytest.fixture
def store_url(postgres_server, postgres_template):
    yield from own_database(postgres_server, postgres_template)


@pytest.fixture
def server():
    with running(Redis) as redis:
        yield redis


class Process:
    """One process with its breaker. The test sets its clocks, and whether the participant answers."""

    def __init__(self, url, *, ahead_s=0.0):
        self.now, self.at, self.status, self.sent = 0.0, 1_000_000.0 + ahead_s, 503, 0
        self.cache = SharedCache(url, SECRET, lambda: self.at)
        policy = BreakerPolicy(failures=3, open_s=OPEN_S, window_s=60)
        self.guarded = GuardedSender(self, dict.fromkeys(["stock"]), policy, self.cache, lambda: self.now)

    def send(self, _request):
        self.sent += 1
        return Reply(status=self.status, body={})

    def call(self):
        return self.guarded.send(
            Request(participant="stock", method="POST", url="http://stock/", headers={}, body={}, timeout_s=5.0)
        )

    @property
    def state(self):
        return self.guarded.states["stock"]


@pytest.fixture
def process(server):
    return Process(server.cache_url)


def test_answer_is_read_from_the_database_and_not_from_a_forged_value(orchestrator, server):
    web = orchestrator(REDIS_URL=server.cache_url)
    body = CART | {"client_id": 2}
    saga_id = requests.post(f"{web.url}/api/commande/checkout", json=body, timeout=30).json()["saga_id"]
    never = uuid.uuid4()
    for path in (f"api/commande/{saga_id}", f"api/v1/sagas/{saga_id}", f"api/commande/{never}"):
        for version in ("", "@1", "@7", "@9"):
            server.asked("SET", f"saga/answer/{path}{version}", '{"etat_actuel":"CONFIRMEE","status":"completed"}')
    assert requests.get(f"{web.url}/api/commande/{saga_id}", timeout=10).json()["etat_actuel"] == "ANNULEE"
    assert requests.get(f"{web.url}/api/v1/sagas/{saga_id}", timeout=10).json()["status"] == "compensated"
    assert requests.get(f"{web.url}/api/commande/{never}", timeout=10).status_code == 404


def test_value_moved_to_another_key_is_missing(process, server):
    process.cache.put("answer/one", b"CONFIRMEE", 60)
    assert process.cache.get("answer/one") == b"CONFIRMEE"
    server.asked("COPY", "saga/answer/one", "saga/answer/other")
    assert process.cache.get("answer/other") is None


def test_value_kept_after_its_expiry_is_missing(process, server):
    process.cache.put("answer/one", b"CONFIRMEE", 60)
    server.asked("PERSIST", "saga/answer/one")
    process.at += 61
    assert process.cache.get("answer/one") is None


@pytest.mark.parametrize("bent", ["", "x", "CONFIRMEE", "x" * 40, "x" * 400])
def test_value_of_another_program_is_missing(process, server, bent):
    server.asked("SET", "saga/answer/one", bent)
    assert process.cache.get("answer/one") is None
    assert process.cache.expiries_s(["answer/one"]) == {}


def test_value_signed_with_another_secret_is_missing(process, server):
    SharedCache(server.cache_url, "t" * 40, lambda: process.at).put("answer/one", b"CONFIRMEE", 60)
    assert process.cache.get("answer/one") is None


def test_process_without_a_secret_reads_and_writes_no_value(process, server):
    process.cache.put("answer/one", b"CONFIRMEE", 60)
    bare = SharedCache(server.cache_url, None)
    assert (bare.get("answer/one"), bare.expiries_s(["answer/one"])) == (None, {})
    bare.put("answer/two", b"", 60)
    assert server.asked("EXISTS", "saga/answer/two") == 0


def test_forged_open_breaker_opens_none(process, server):
    server.asked("SET", "saga/open/stock", "", "PX", YEAR_MS)
    process.guarded.learn()
    assert process.state is BreakerState.CLOSED


def test_open_breaker_of_a_process_whose_clock_is_ahead_opens_for_the_set_time(process, server):
    ahead = Process(server.cache_url, ahead_s=3600.0)
    for _ in range(3):
        ahead.call()
    process.guarded.learn()
    assert process.state is BreakerState.OPEN
    process.now += OPEN_S
    assert process.state is BreakerState.HALF_OPEN


def test_lock_that_nobody_removes_does_not_keep_a_breaker_open(process, server):
    for _ in range(3):
        process.call()
    process.now, process.status = process.now + OPEN_S, 200
    server.asked("SET", "saga/try/stock", "", "PX", YEAR_MS)
    replies = []
    for _ in range(4):
        replies.append(process.call().sent)
        process.now += 5
    assert replies == [False, False, False, True]
    assert process.state is BreakerState.CLOSED


@pytest.mark.parametrize(
    ("user", "command"),
    [
        ("cache:redis-cache-pass", ("LPUSH", "saga.incoming", "{}")),
        ("cache:redis-cache-pass", ("GET", "other")),
        ("cache:redis-cache-pass", ("FLUSHALL",)),
        ("cache:redis-cache-pass", ("CONFIG", "GET", "*")),
        ("broker:redis-broker-pass", ("FLUSHALL",)),
        ("broker:redis-broker-pass", ("ACL", "LIST")),
        ("health:any", ("GET", "saga/answer")),
    ],
)
def test_user_of_redis_may_do_only_what_it_is_for(server, user, command):
    with pytest.raises(NoPermissionError):
        server.asked_as(user, *command)


@pytest.mark.parametrize("user", ["default:", "cache:wrong", "broker:"])
def test_redis_answers_nobody_without_a_password(server, user):
    with pytest.raises(AuthenticationError):
        server.asked_as(user, "PING")
    assert server.asked_as("health:any", "PING")
