"""What Redis keeps for all processes: answers about finished sagas, and how many requests each address has sent."""

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

import pytest
from sqlalchemy import event

from app import create_app
from app.config import from_environment
from app.store.database import db
from tests.e2e.fleet import CART
from tests.e2e.servers import Redis, running
from tests.support.applications import close
from tests.support.databases import own_database
from tests.support.servers import OPEN

pytestmark = pytest.mark.programs
CHECKOUT, SAGAS = "/api/commande/checkout", "/api/v1/sagas"
PURCHASE = {
    "type": "purchase_saga",
    "data": {
        "store_id": 1, "customer_id": 123, "payment_method": "credit_card", "amount": 29.99,
        "items": [{"product_id": 456, "quantity": 1, "price": 29.99}],
    },
}  # fmt: skip
ORDER = {
    "client_id": str(uuid.uuid4()),
    "lignes": [{"produit_id": "550e8400-e29b-41d4-a716-446655440001", "quantite": 1}],
}


@pytest.fixture
def store_url(postgres_server, postgres_template):
    yield from own_database(postgres_server, postgres_template)


@pytest.fixture
def server():
    with running(Redis) as redis:
        yield redis


@pytest.fixture
def application(store_url, participants, server):
    """Return a function that makes the service in this process, where the test can inspect it."""
    made = []

    def make(**environment):
        settings = {"DATABASE_URL": store_url, "PARTICIPANTS_URL": participants.url, "REDIS_URL": server.cache_url}
        made.append(create_app(from_environment(OPEN | settings | environment)))
        return made[-1]

    yield make
    for app in made:
        close(app)


@contextmanager
def statements(app):
    """Return a list to which each database statement inside the `with` block is appended."""
    asked = []

    def note(*arguments):
        asked.append(arguments[2])

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    yield asked
    event.remove(engine, "before_cursor_execute", note)


def test_answers_about_finished_sagas_are_cached(application, server):
    app = application()
    client = app.test_client()
    order = client.post("/api/saga/commandes/", json=ORDER).json["saga_id"]
    checkout = client.post(CHECKOUT, json=CART).json["saga_id"]
    for path in (f"/api/commande/{checkout}", f"{SAGAS}/{checkout}", f"/api/saga/commandes/{order}/"):
        first = client.get(path)
        with statements(app) as asked:
            again = client.get(path)
        assert asked == []
        assert (again.status_code, again.data, again.mimetype) == (200, first.data, "application/json")
        server.asked("FLUSHALL")
        with statements(app) as asked:
            assert client.get(path).data == first.data
        assert asked
    server.kill()
    assert client.get(path).data == first.data


def test_every_process_gives_the_same_answer_about_a_finished_saga(application):
    one, other = application(), application()
    path = f"/api/commande/{one.test_client().post(CHECKOUT, json=CART).json['saga_id']}"
    kept = one.test_client().get(path).data
    with statements(other) as asked:
        assert other.test_client().get(path).data == kept
    assert asked == []


def test_answers_about_sagas_that_may_change_are_not_cached(application):
    """A completed purchase can still be compensated, because its table has no pivot."""
    app = application()
    client = app.test_client()

    def shown():
        seen = []
        for _ in range(2):
            with statements(app) as asked:
                seen.append(client.get(path).json["status"])
        assert asked, "it is read again"
        return seen

    path = f"{SAGAS}/{client.post(SAGAS, json=PURCHASE).json['saga']['id']}"
    assert shown() == ["pending", "pending"]
    client.post(f"{path}/execute")
    assert shown() == ["completed", "completed"]
    client.post(f"{path}/compensate")
    assert client.get(path).json["status"] == "compensated"
    with statements(app) as asked:
        assert client.get(path).json["status"] == "compensated"
    assert asked == []


def test_too_many_requests_get_429_with_retry_after(application):
    client = application(RATE_LIMIT="5/second").test_client()
    answers = [client.get(path) for _ in range(10) for path in (SAGAS, "/api/saga/sagas/")]
    (refused, *_) = [answer for answer in answers if answer.status_code == 429]
    assert refused.mimetype == "application/problem+json"
    assert (refused.json["status"], refused.json["title"]) == (429, "Too Many Requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= 2


def test_metrics_and_health_are_never_limited(application):
    client = application(RATE_LIMIT="5/second").test_client()
    for path in ("/health", "/ready", "/metrics", "/metrics/", "/api/saga/health/"):
        assert {client.get(path).status_code for _ in range(20)} == {200}


def test_rate_limit_is_shared_by_all_processes_and_paths(application):
    one, other = (application(RATE_LIMIT="5/day").test_client() for _ in range(2))
    assert [one.get(SAGAS).status_code for _ in range(3)] == [200] * 3
    assert [other.get("/api/saga/sagas/").status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("blow", ["kill", "freeze"])
def test_each_process_has_its_own_rate_limit_without_redis(application, server, blow):
    app = application(RATE_LIMIT="40/day")
    gate = Barrier(16)

    def look(_number):
        gate.wait()
        return [app.test_client().get(SAGAS).status_code for _ in range(4)]

    assert app.test_client().get(SAGAS).status_code == 200
    {"kill": server.kill, "freeze": server.freeze}[blow]()
    with ThreadPoolExecutor(16) as clients:
        statuses = Counter(status for seen in clients.map(look, range(16)) for status in seen)
    assert set(statuses) == {200, 429}
    assert statuses[200] < 64 - 8
