"""An unreachable broker delays no caller. After a failure, no message is sent to the broker for a while."""

import threading
import time

import pytest
from kombu import pools

from app.broker import MAX_QUEUED, TIMEOUT_S, WAKE_UP, Broker
from tests.support.unresponsive_server import UnresponsiveServer

TIMEOUT_OF_TEST_S = 60.0
SCHEMES = pytest.mark.parametrize("scheme", ["redis", "amqp"])


@pytest.fixture(autouse=True)
def _no_connection_left():
    yield
    pools.reset()


@pytest.fixture
def stopping():
    stopping = threading.Event()
    yield stopping
    stopping.set()
    for thread in threading.enumerate():
        if thread.name == "waking":
            thread.join(TIMEOUT_OF_TEST_S)


class MemoryBroker:
    """A broker in memory, with the messages that wait in its queue."""

    def __init__(self):
        self.broker = Broker("memory://")

    def messages(self):
        with self.broker._celery.connection_for_read() as connection:
            queue = self.broker._celery.amqp.queues["saga"].bind(connection.default_channel)
            queue.declare()
            while message := queue.get(no_ack=True):
                yield message.headers["task"]


@pytest.fixture
def memory():
    memory = MemoryBroker()
    list(memory.messages())  # empty the queue, which all users of the memory transport share
    return memory


def eventually(happens):
    until = time.monotonic() + TIMEOUT_OF_TEST_S
    while time.monotonic() < until:
        if happens():
            return
        threading.Event().wait(0.01)
    raise AssertionError("never happened")


def seconds_for(act):
    began = time.monotonic()
    act()
    return time.monotonic() - began


@SCHEMES
def test_silent_broker_delays_no_caller_and_is_used_again(scheme, stopping, monkeypatch):
    monkeypatch.setattr("app.broker.BACK_OFF_S", 2.0)
    with UnresponsiveServer() as silent:
        broker = Broker(f"{scheme}://{silent.address}")
        broker.start(stopping)
        assert seconds_for(lambda: [broker.wake() for _ in range(1000)]) < 0.5
        eventually(lambda: silent.asked)
        stopping.wait(2 * TIMEOUT_S)  # wait until the broker's thread has given up
        asked = silent.asked
        assert seconds_for(lambda: [broker.wake() for _ in range(1000)]) < 0.5
        eventually(lambda: silent.asked > asked)


@SCHEMES
def test_unreachable_broker_is_not_used_for_a_while(scheme, stopping, capsys):
    broker = Broker(f"{scheme}://127.0.0.1:9")
    broker.start(stopping)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        broker.wake()
        stopping.wait(0.02)
    assert capsys.readouterr().out.count("broker.away") == 1


@SCHEMES
def test_command_does_not_wait_for_an_unreachable_broker(scheme):
    broker = Broker(f"{scheme}://127.0.0.1:9")
    assert seconds_for(broker.wake) < 5 * TIMEOUT_S


def test_many_wake_ups_send_few_messages_and_the_last_arrives(memory, stopping):
    memory.broker.start(stopping)
    for _ in range(1000):
        memory.broker.wake()
    found = []
    eventually(lambda: found.extend(memory.messages()) or found)
    memory.broker.wake()  # this message arrives too, although the broker thread pauses after the first one
    eventually(lambda: found.extend(memory.messages()) or len(found) >= 2)
    assert set(found) == {WAKE_UP}
    assert len(found) <= 10


def test_queue_does_not_grow_without_a_worker(memory):
    for _ in range(MAX_QUEUED + 20):
        memory.broker.wake()
    assert len(list(memory.messages())) == MAX_QUEUED


def test_idle_broker_is_tried_and_gets_no_message(memory, stopping, monkeypatch):
    monkeypatch.setattr("app.broker.CHECK_S", 0.0)
    assert memory.broker.up() == {}
    memory.broker.start(stopping)
    eventually(lambda: memory.broker.up() == {"memory": 1})
    assert list(memory.messages()) == []


@SCHEMES
def test_loss_of_an_idle_broker_is_seen(scheme, stopping):
    broker = Broker(f"{scheme}://127.0.0.1:9")
    broker.start(stopping)
    eventually(lambda: broker.up() == {scheme: 0})
