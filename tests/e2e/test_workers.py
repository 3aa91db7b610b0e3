"""Celery workers over a real broker.

A message is only a wake-up: when it is lost, doubled or forged, the results of the sagas stay the same.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests
from kombu import Connection, Queue

from app.broker import QUEUE, WAKE_UP, Broker
from tests.e2e.fleet import CART, Fleet, assert_each_effect_once, begin, kill, owner, owners, slow_payments
from tests.e2e.servers import RabbitMQ, Redis, begun
from tests.support.databases import own_database
from tests.support.servers import serve_participants
from tests.support.waiting import eventually

pytestmark = pytest.mark.programs


@pytest.fixture(scope="module")
def participants_server(tmp_path_factory):
    """Start participants for these tests alone, because other tests leave unfinished sagas."""
    yield from serve_participants(tmp_path_factory.mktemp("participants"))


@pytest.fixture(scope="module")
def brokers():
    """Start RabbitMQ and Redis. RabbitMQ needs several seconds to start, so the tests with Redis run first."""
    with begun(RabbitMQ) as rabbitmq, begun(Redis) as redis:
        yield {"redis": redis, "rabbitmq": rabbitmq}


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def broker(request, brokers):
    brokers[request.param].wait()
    return brokers[request.param]


@pytest.fixture(scope="module")
def machines(broker, postgres_server, postgres_template, participants_server, tmp_path_factory):
    """Return a fleet and a web server for all tests with one broker. Workers keep running for the next test."""
    log = tmp_path_factory.mktemp("fleet") / "log"
    with contextmanager(own_database)(postgres_server, postgres_template) as url:
        fleet = Fleet(
            log,
            DATABASE_URL=url,
            BROKER_URL=broker.url,
            PARTICIPANTS_URL=participants_server.url,
            RECOVERY_INTERVAL_S="0.1",
            THREADS="4",
        )
        try:
            fleet.beat()
            fleet.worker()
            fleet.worker()
            yield fleet, fleet.web()
        finally:
            fleet.end()


@pytest.fixture
def fleet(machines, participants):
    return machines[0]


@pytest.fixture
def web(machines):
    return machines[1]


def in_hand(fleet, worker):
    """Return the sagas of this worker whose payment is in flight."""
    held = "SELECT id FROM saga WHERE owner LIKE %s || ':%%' AND state = 'STOCK_RESERVE'"
    return [saga for (saga,) in fleet.rows(held, owner(worker))]


def test_workers_run_the_sagas_that_a_web_process_accepts(fleet, web, participants):
    workers = fleet.workers(2)
    slow_payments(participants, 0.05)
    sagas = begin(web, 20)
    fleet.ended(sagas)
    assert fleet.actors(sagas) == {owner(worker) for worker in workers}
    assert_each_effect_once(participants, sagas)


def test_log_of_worker_and_beat_begins_without_a_banner(fleet, web, participants):
    fleet.workers(2)
    fleet.ended(begin(web, 1))
    lines = fleet.log_lines()
    assert [line for line in lines if line.startswith("{")]
    assert [line for line in lines if any(word in line for word in ("celery@", "[config]", "celery beat"))] == []


def test_wake_up_is_sent_when_the_queue_does_not_exist(broker, monkeypatch):
    """Redis deletes an empty queue. A wake-up must create the queue again and must not be lost."""
    monkeypatch.setattr("app.broker.QUEUE", "nobody-listens")
    waking = Broker(broker.url)
    waking.wake()
    waking.wake()
    with Connection(broker.url) as connection:
        queue = Queue("nobody-listens")(connection.default_channel)
        assert queue.queue_declare().message_count == 2
        queue.delete()


def test_doubled_or_meaningless_message_changes_nothing(fleet, web, participants, broker):
    workers = fleet.workers(2)
    (finished,) = begin(web, 1)
    fleet.ended([finished])
    stands = "SELECT owner, epoch, version, updated_at FROM saga WHERE id = %s"
    before = fleet.rows(stands, finished)
    slow_payments(participants, 1.5)
    waiting = {"json": CART, "headers": {"Prefer": "wait=1"}, "timeout": 10}
    elsewhere = requests.post(f"{web.url}/api/commande/checkout", **waiting).json()["saga_id"]
    participants.clear_faults()
    broker.send(WAKE_UP, times=3)
    for meaningless in (finished, elsewhere, "", None, 7, {"id": finished}, "\0"):
        broker.send(WAKE_UP, meaningless)
    broker.send("saga.unknown", finished)
    with Connection(broker.url) as connection, connection.Producer() as producer:
        for body, kind in ((b"\xff\xfe", "application/json"), (b"{}", "application/json"), (b"\x80", "application/x")):
            producer.publish(body, routing_key=QUEUE, content_type=kind, content_encoding="binary")
    doubled = begin(web, 2)
    broker.send(WAKE_UP, times=10)
    fleet.ended([elsewhere, *doubled])
    assert fleet.rows(stands, finished) == before
    claimed = "SELECT id, epoch FROM saga WHERE id IN (%s, %s, %s)"
    assert dict(fleet.rows(claimed, elsewhere, *doubled)) == {elsewhere: 1, doubled[0]: 2, doubled[1]: 2}
    assert fleet.actors([elsewhere]) <= owners(web)
    assert [worker.poll() for worker in workers] == [None, None]
    assert_each_effect_once(participants, [finished, elsewhere, *doubled])


def test_garbage_in_the_list_of_redis_ends_no_worker(fleet, web, participants, broker):
    if not isinstance(broker, Redis):
        pytest.skip("nobody can put what is no message into a queue of RabbitMQ's")
    workers = fleet.workers(2)
    for garbage in (
        "rubbish",
        b"\xff",
        "[]",
        '{"properties": {}}',
        '{"body": "e30=", "properties": {"delivery_tag": "1"}}',
    ):
        broker.asked("LPUSH", QUEUE, garbage)
    eventually(lambda: broker.asked("LLEN", QUEUE) == 0, "they are taken")
    sagas = begin(web, 4)
    fleet.ended(sagas)
    assert [worker.poll() for worker in workers] == [None, None]


def test_worker_releases_its_sagas_to_another_at_sigterm(fleet, web, participants):
    ends, stays = fleet.workers(2)
    slow_payments(participants, 1.5)
    sagas = begin(web, 8)
    held = eventually(lambda: in_hand(fleet, ends), "it has some in hand")
    ends.terminate()
    assert ends.wait(60) == 0
    participants.clear_faults()
    fleet.ended(sagas)
    for saga in held:
        assert fleet.actors([saga]) == {owner(ends), owner(stays)}
    assert_each_effect_once(participants, sagas)


def test_another_worker_finishes_the_sagas_of_a_killed_one(fleet, web, participants):
    dies, stays = fleet.workers(2)
    slow_payments(participants, 1.5)
    sagas = begin(web, 8)
    held = eventually(lambda: in_hand(fleet, dies), "it has some in hand")
    kill(dies)
    participants.clear_faults()
    fleet.let_the_lease_end(owner(dies))
    fleet.ended(sagas)
    for saga in held:
        assert fleet.actors([saga]) == {owner(dies), owner(stays)}
    assert_each_effect_once(participants, sagas)


def test_beat_finds_a_saga_whose_message_was_lost(fleet, web, participants, broker):
    for worker in fleet.workers(1):
        kill(worker)
    sagas = begin(web, 5)
    broker.purge()
    (worker,) = fleet.workers(1)
    fleet.ended(sagas)
    assert fleet.actors(sagas) == {owner(worker)}
    assert_each_effect_once(participants, sagas)


def test_sagas_continue_while_the_broker_is_away_and_workers_return(fleet, participants, broker):
    """While the broker is away, web processes run all sagas."""
    web = fleet.web(LEASE_S="1")
    (ends,) = fleet.workers(1)

    def start_one(number):
        if number == 10:
            broker.kill()
        return begin(web, 1)[0]

    with ThreadPoolExecutor(6) as clients:
        sagas = list(clients.map(start_one, range(30)))
    without = begin(web, 5)
    ends.terminate()
    fleet.ended(sagas + without)
    assert fleet.actors(without) <= owners(web)
    assert ends.wait(60) == 0
    broker.start()
    assert_each_effect_once(participants, sagas + without)

    # One of these workers has lost its broker. Celery takes longer to connect it again than to start a new worker.
    awake = {owner(worker) for worker in fleet.workers(2)}

    def runs_again():
        one = begin(web, 1)
        fleet.ended(one)
        return fleet.actors(one) <= awake

    eventually(runs_again, "a worker is woken again")


@pytest.mark.parametrize(
    ("role", "environment", "message"),
    [
        ("worker", {}, "set BROKER_URL to the broker that brings the messages"),
        (
            "beat",
            {"BROKER_URL": "redis://h", "DATABASE_URL": "sqlite:///x.db"},
            "BROKER_URL needs a database for many machines; set DATABASE_URL to a PostgreSQL",
        ),
    ],
)
def test_missing_setting_is_reported_in_one_line(role, environment, message):
    bare = {name: value for name, value in os.environ.items() if name not in {"BROKER_URL", "DATABASE_URL"}}
    command = [sys.executable, "-m", "celery", "-A", "app.worker", role]
    ended = subprocess.run(command, env=bare | environment, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"saga: {message}")
    assert (ended.stderr.count("\n"), ended.stdout) == (1, "")
