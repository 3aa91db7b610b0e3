"""Events over real brokers: published at least once and in order, consumed exactly once, even when processes die."""

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import requests
from kombu import Connection, Queue
from prometheus_client import CollectorRegistry

from app.events import topics
from app.events.intake import Intake
from app.events.topics import INCOMING, OUTGOING
from app.store.instance import SagaSnapshot
from machines.call import post
from machines.fields import text
from machines.registry import Registry
from machines.saga import Saga
from machines.step import pivot
from tests.e2e.fleet import Fleet
from tests.e2e.servers import RabbitMQ, Redis, begun
from tests.support.databases import own_database
from tests.support.servers import serve_participants
from tests.support.waiting import eventually

pytestmark = pytest.mark.programs

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
#: Folder of tables that only wait for signals.
SAGAS = Path(__file__).parents[1] / "support" / "signalled_sagas"
_DONE = "SELECT count(*) FROM saga WHERE status = 'completed'"
ORDER = {"client_id": 4, "magasin_id": 1, "produits": [{"produit_id": "456", "quantite": 1}]}
CONFIRMED = [
    "CommandeCreate", "ProduitExist", "InventaireReserve", "PaiementConfirm", "TransactionConfirm", "CommandeConfirm",
]  # fmt: skip


@pytest.fixture(scope="module", params=[Redis, RabbitMQ])
def shared_broker(request):
    with begun(request.param) as server:
        server.wait()
        yield server


@pytest.fixture
def broker(shared_broker):
    """After each test, delete all incoming messages, so that none reaches the next test."""
    yield shared_broker
    with Connection(shared_broker.url) as connection, connection.channel() as channel:
        queue = topics.incoming_queue(["CommandeCreate"])(channel)
        queue.declare()
        queue.purge()


@pytest.fixture(scope="module")
def participants_url(tmp_path_factory):
    for server in serve_participants(tmp_path_factory.mktemp("participants")):
        yield server.url


@pytest.fixture
def fleet(broker, postgres_server, postgres_template, participants_url, tmp_path):
    with contextmanager(own_database)(postgres_server, postgres_template) as url:
        settings = {"DATABASE_URL": url, "BROKER_URL": broker.url, "PARTICIPANTS_URL": participants_url}
        # There are no workers. A web process runs each started saga, but only when the first lease of the saga has
        # ended.
        fleet = Fleet(tmp_path / "log", **settings, RECOVERY_INTERVAL_S="0.1", LEASE_S="0.5")
        try:
            yield fleet
        finally:
            fleet.end()


@pytest.fixture
def received(broker):
    """Return the events that a separate subscriber has received so far."""
    events, ended = [], threading.Event()

    def note(message):
        events.append(json.loads(message.body))
        message.ack()

    def listen():
        with Connection(broker.url) as connection:
            queue = Queue(f"listener-{id(events)}", OUTGOING, routing_key="#", auto_delete=True)
            with connection.Consumer([queue], on_message=note):
                listening.set()
                while not ended.is_set():
                    try:
                        connection.drain_events(timeout=0.1)
                    except TimeoutError:
                        continue

    listening = threading.Event()
    thread = threading.Thread(target=listen)
    thread.start()
    assert listening.wait(60)
    yield events
    ended.set()
    thread.join()


def publish(broker, *bodies, routing_key="CommandeCreate"):
    with Connection(broker.url) as connection, connection.Producer() as producer:
        for body in bodies:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            producer.publish(raw, exchange=INCOMING, declare=[INCOMING], routing_key=routing_key, retry=False)


def incoming(number):
    return {"specversion": "1.0", "id": str(number), "source": "/boutique", "type": "CommandeCreate", "data": ORDER}


def ended(fleet, count):
    done = "SELECT count(*) FROM saga WHERE status = 'completed'"
    eventually(lambda: fleet.rows(done)[0][0] == count, f"{count} sagas end")


def of(received, saga):
    """Return the names of a saga's events in the order of their first arrival."""
    names = {}
    for event in received:
        if event["subject"] == saga:
            names.setdefault(event["id"], event["type"])
    return list(names.values())


def test_incoming_order_runs_once_and_publishes_events_in_order(fleet, broker, received):
    web = fleet.web()
    wait_for_intake(fleet, broker)
    publish(broker, incoming(1), incoming(1), b"{no json", incoming(2), incoming(1))
    ended(fleet, 3)  # orders 1 and 2, and the order that wait_for_intake has sent
    eventually(lambda: requests.get(f"{web.url}/api/v1/events/parked", timeout=5).json()["parked"], "it is parked")
    (parked,) = requests.get(f"{web.url}/api/v1/events/parked", timeout=5).json()["parked"]
    assert (parked["body"], "no JSON" in parked["reason"]) == ("{no json", True)
    sagas = [str(saga) for (saga,) in fleet.rows("SELECT id FROM saga")]
    eventually(lambda: all(of(received, saga) == CONFIRMED for saga in sagas), "every event is received")
    eventually(lambda: fleet.rows("SELECT count(*) FROM outbox") == [(0,)], "the outbox is empty")


def test_example_event_of_operations_md_starts_one_saga(fleet, broker):
    """The test runs the example as written, twice. The second run must start no second saga."""
    shown = OPERATIONS.read_text().partition("<<'EOF'\n")[2].partition("EOF\n")[0]
    fleet.web()
    wait_for_intake(fleet, broker)
    environment = os.environ | {"BROKER_URL": broker.url}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", shown], env=environment, check=True, timeout=60)
    key = "\N{ENVELOPE} /shops/1 shop-42"
    began = "SELECT status FROM saga WHERE idempotency_key = %s"
    eventually(lambda: fleet.rows(began, key) == [("completed",)], "it is carried out")
    assert fleet.rows("SELECT count(*) FROM saga") == [(2,)]
    assert fleet.rows("SELECT count(*) FROM parked") == [(0,)]


def test_another_process_publishes_the_events_of_a_killed_one(fleet, broker, received):
    first, sagas = fleet.web(), []
    body = {"type": "order_saga", "data": ORDER}
    for _ in range(10):
        created = requests.post(f"{first.url}/api/v1/sagas", json=body, timeout=10).json()["saga"]["id"]
        requests.post(f"{first.url}/api/v1/sagas/{created}/execute", headers={"Prefer": "respond-async"}, timeout=10)
        sagas.append(created)
    first.kill()
    second = fleet.web()
    ended(fleet, 10)
    fleet.rows("UPDATE relay_part SET until = clock_timestamp() RETURNING id")
    eventually(lambda: all(of(received, saga) == CONFIRMED for saga in sagas), "every event is received, in order")
    assert second.process.poll() is None


def test_sagas_continue_and_events_wait_while_the_broker_is_away(fleet, broker, received):
    web = fleet.web()
    broker.freeze()
    try:
        body = {"type": "order_saga", "data": ORDER}
        created = requests.post(f"{web.url}/api/v1/sagas", json=body, timeout=10).json()["saga"]["id"]
        requests.post(f"{web.url}/api/v1/sagas/{created}/execute", timeout=120)
        assert fleet.rows("SELECT status FROM saga") == [("completed",)]
        assert fleet.rows("SELECT count(*) FROM outbox") == [(len(CONFIRMED),)]
    finally:
        broker.thaw()
    eventually(lambda: of(received, created) == CONFIRMED, "they are published once it is back")


def test_intake_consumes_again_after_the_broker_restarts(fleet, broker):
    """A Redis that restarts has lost the queue and its bindings."""
    fleet.web()
    wait_for_intake(fleet, broker)
    broker.kill()
    broker.start()

    def taken():
        publish(broker, incoming(1))
        return fleet.rows("SELECT count(*) FROM saga")[0][0] == 2

    eventually(taken, "what comes in is taken again")


def test_bindings_are_declared_again_after_redis_was_flushed(fleet, broker):
    if not isinstance(broker, Redis):
        pytest.skip("RabbitMQ forgets nothing that is durable")
    fleet.web()
    wait_for_intake(fleet, broker)
    broker.asked("FLUSHALL")

    def taken():
        publish(broker, incoming(1))
        return fleet.rows("SELECT count(*) FROM saga")[0][0] == 2

    eventually(taken, "what comes in is taken again")


def signal_event(event_id, /, **data):
    return {"specversion": "1.0", "id": str(event_id), "source": "/hr", "type": "saga.signal", "data": data}


def test_a_signal_comes_by_event_once_and_one_for_nobody_becomes_a_dead_letter(
    broker, postgres_server, postgres_template, tmp_path
):
    """The second signal comes before the saga waits for it. Each event comes twice."""
    with contextmanager(own_database)(postgres_server, postgres_template) as url:
        fleet = Fleet(tmp_path / "log", DATABASE_URL=url, BROKER_URL=broker.url, SAGAS=str(SAGAS), LEASE_S="0.5")
        try:
            web = fleet.web()
            data = {"person": "Ada", "number": "L-7"}
            saga = requests.post(f"{web.url}/api/v1/sagas/early", json=data, timeout=10).json()["id"]
            early = signal_event(2, type="early", number="L-7", signal="second", body={"days": 3})
            first, late = signal_event(1, saga=saga, signal="first"), signal_event(3, saga=saga, signal="first")
            # Until the intake has bound its queue, the broker drops the events, so they are sent again and again.
            events = (early, early, first, first)
            eventually(
                lambda: publish(broker, *events, routing_key="saga.signal") or fleet.rows(_DONE)[0][0], "it ends"
            )
            assert fleet.rows("SELECT name, body FROM arrival ORDER BY name") == [
                ("first", {}),
                ("second", {"days": 3}),
            ]
            publish(broker, late, routing_key="saga.signal")
            parked = eventually(
                lambda: requests.get(f"{web.url}/api/v1/events/parked", timeout=5).json()["parked"], "parked"
            )
            assert "event:/hr has sent the signal first before" in parked[0]["reason"]
            assert len(parked) == 1
        finally:
            fleet.end()


BEGINNINGS = ("TravelAsked", "HotelAsked")


def test_each_of_two_tables_consumes_its_own_event(broker):
    """On Redis, this is also true after FLUSHALL, when both queues have been declared again."""
    received, stopping = FakeConsumer(), threading.Event()
    tables = Registry([begun_by(event) for event in BEGINNINGS])
    intake = Intake(received, tables, received, CollectorRegistry(), stopping)
    listening = threading.Thread(target=intake.run, args=(broker.url,))
    listening.start()
    try:
        for emptied in (False, isinstance(broker, Redis)):
            if emptied:
                broker.asked("FLUSHALL")
            received.begun.clear()
            eventually(lambda: publish_both(broker) or len(received.begun) == 2, "both events are received")
        assert received.begun == set(BEGINNINGS)
        assert received.parked == []
    finally:
        stopping.set()
        listening.join()


class FakeConsumer:
    """Stands in for `SagaService` and for `DeadLetters`. Records the sagas and the dead letters of the intake."""

    def __init__(self):
        self.begun, self.parked = set(), []

    def start(self, name, *_arguments, **_options):
        self.begun.add(name)
        return SagaSnapshot(id=uuid4(), state="B_DONE", status="completed", error=None)

    def add(self, reason, body):
        self.parked.append((reason, body))


def begun_by(event):
    return Saga(
        name=event, version=1, initial="B0", completed="B_DONE", compensated="B_UNDONE", data={"case": text()},
        participants=("alpha",), started_by=event,
        steps=(pivot("pay", post("alpha", "/pay", case="case"), done="B_DONE", refused="B_REFUSED"),),
    )  # fmt: skip


def publish_both(broker):
    with Connection(broker.url) as connection, connection.Producer() as producer:
        for event in BEGINNINGS:
            message = {"specversion": "1.0", "id": str(uuid4()), "source": "/x", "type": event, "data": {"case": "1"}}
            body = json.dumps(message).encode()
            producer.publish(body, exchange=INCOMING, declare=[INCOMING], routing_key=event, retry=False)


GARBAGE = (
    "this is no JSON", b"\xff\xfe", "[1, 2, 3]", "7", '{"body": "x"}', '{"properties": {"delivery_tag": []}}',
    '{"headers": {}, "properties": {"delivery_tag": "1", "body_encoding": "rot13"}, "body": "A"}',
    '{"headers": {"compression": "x-none"}, "properties": {"delivery_tag": "1"}, "body": "A"}',
)  # fmt: skip


def test_garbage_in_redis_is_parked_and_later_messages_are_consumed(fleet, broker):
    if not isinstance(broker, Redis):
        pytest.skip("nobody can put what is no message into a queue of RabbitMQ's")
    web = fleet.web()
    wait_for_intake(fleet, broker)
    for garbage in GARBAGE:
        broker.asked("LPUSH", "saga.incoming", garbage)
    publish(broker, incoming("after"))
    ended(fleet, 2)
    eventually(lambda: fleet.rows("SELECT count(*) FROM parked") == [(len(GARBAGE),)], "all garbage is parked")
    assert requests.get(f"{web.url}/ready", timeout=5).status_code == 200


def wait_for_intake(fleet, broker):
    """Send an order until a process consumes it. Before the queue exists, messages are lost."""

    def taken():
        publish(broker, incoming(0))
        return fleet.rows("SELECT count(*) FROM saga")[0][0] == 1

    eventually(taken, "somebody takes what comes in")
