"""A broker that is away costs a request a moment, the next ones nothing, and none of them its answer."""

import threading
import time
from uuid import uuid4

import pytest
from kombu import pools

from app.broker import TIMEOUT_S, Broker
from tests.unit.app.silent import Silent

PATIENCE_S = 5.0
SCHEMES = pytest.mark.parametrize("scheme", ["redis", "amqp"])


@pytest.fixture(autouse=True)
def _no_connection_left():
    yield
    pools.reset()


def seconds_for(act, *, threads):
    """Do it in many threads at once; give how long the last of them took."""
    together = [threading.Thread(target=act, daemon=True) for _ in range(threads)]
    began = time.monotonic()
    for thread in together:
        thread.start()
    for thread in together:
        thread.join(max(began + PATIENCE_S - time.monotonic(), 0))
    return time.monotonic() - began


@SCHEMES
def test_one_that_does_not_answer_keeps_nobody_waiting_for_long(scheme):
    with Silent() as silent:
        broker = Broker(f"{scheme}://{silent.address}")
        assert seconds_for(lambda: broker.wake(uuid4()), threads=32) < 5 * TIMEOUT_S
        asked = silent.asked
        assert seconds_for(lambda: broker.wake(uuid4()), threads=32) < 0.5
        assert silent.asked == asked, "it is left in peace for a while"


@SCHEMES
def test_one_that_is_not_there_is_left_out(scheme):
    broker = Broker(f"{scheme}://127.0.0.1:9")
    assert seconds_for(lambda: broker.wake(uuid4()), threads=32) < 1.0
