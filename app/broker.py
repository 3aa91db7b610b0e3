"""Messages that wake workers. Celery sends them over Redis or RabbitMQ; the URL decides which.

A message only says that some saga is due. The database decides which sagas are due, and which process runs them. So one
message is enough for many sagas. A lost message only delays a saga, and a repeated message does nothing.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.exceptions import KombuError, OperationalError
from kombu.transport import TRANSPORT_ALIASES

from app.service_threads import ServiceThreads

if TYPE_CHECKING:
    from celery import Celery

_log = structlog.get_logger("broker")
# Every connection of this process uses these transports, also Celery's. kombu imports them when it connects.
TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "app.redis_transport:Transport"))
TRANSPORT_ALIASES["amqps"] = "app.amqp_transport:Transport"
#: Name of the Celery message that app.worker receives.
WAKE_UP = "saga.look"
#: Queue of the wake-up messages.
QUEUE = "saga"
#: Longest wait for the broker, in seconds.
TIMEOUT_S = 1.0
#: Shortest time between two messages of one process, in seconds. Sagas that become due in this time share a message.
MIN_INTERVAL_S = 0.2
#: Seconds until the next message when the broker cannot be reached.
BACK_OFF_S = 5.0
#: Seconds after which a broker that is not used is tried, so that its loss is seen although nothing is to be sent.
CHECK_S = 15.0
#: Largest number of messages in the queue. More would be useless, because a woken worker claims until no saga is due.
MAX_QUEUED = 32


def make_celery(url: str) -> "Celery":
    """Return a Celery application that sends or receives the wake-up messages."""
    from celery import Celery  # noqa: PLC0415  a process without a broker starts faster

    celery = Celery(QUEUE, broker=url)
    celery.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        broker_connection_timeout=TIMEOUT_S,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # no limit: a worker waits until the broker can be reached again
        broker_transport_options=connection_options(url),
        # One Celery thread is enough, because a message only wakes the runner, which has its own threads.
        worker_pool="threads",
        worker_concurrency=1,
        # With remote control, a message could stop a worker, and two workers of one machine would share a queue for it.
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
    )
    return celery


def connection_options(url: str) -> dict[str, float]:
    """Return kombu's options for a broker: TIMEOUT_S for each operation, and one attempt to connect."""
    waits = ("socket_timeout", "socket_connect_timeout") if url.startswith("redis") else ("write_timeout",)
    return {"max_retries": 0} | dict.fromkeys(waits, TIMEOUT_S)


@contextmanager
def as_kombu_errors(connection: Connection) -> Iterator[None]:
    """Raise errors of the Redis and AMQP libraries as kombu's OperationalError, so that callers catch one class."""
    try:
        yield
    except (*connection.connection_errors, *connection.channel_errors) as error:
        raise OperationalError(str(error)) from error


def declare_again(queue: Queue) -> None:
    """Declare a queue again, because it is gone after Redis was flushed.

    A Redis channel remembers declared queues and would do nothing, so the channel must first forget the queue.
    """
    if getattr(queue.channel.connection, "driver_type", None) == "redis":
        bound = [(each.exchange, each.routing_key) for each in queue.bindings]
        for exchange, routing_key in bound or [(queue.exchange, queue.routing_key)]:
            queue.unbind_from(exchange, routing_key)  # changes only the channel's memory, and nothing in Redis
    queue.declare()


class Broker:
    """Sends wake-up messages. After `start` a separate thread sends them, so that no caller waits."""

    def __init__(
        self, url: str, threads: ServiceThreads | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._celery, self._clock = make_celery(url), clock
        self._protocol, self._check_at = url.partition(":")[0], clock()
        #: True when the broker answered last, None before the first try.
        self.reachable: bool | None = None
        self._threads = threads or ServiceThreads()
        self._requested, self._started = threading.Event(), False

    def wake(self) -> None:
        """Wake a worker, because a saga has become due. When the message is lost, a worker finds the saga later."""
        if self._started:
            self._requested.set()
        else:
            self._send()

    def start(self, stopping: threading.Event) -> None:
        """Start the thread that sends the messages."""
        self._started = True

        def send_until_stopped(progressed: Callable[[], None]) -> None:
            while not stopping.is_set():
                if self._requested.wait(TIMEOUT_S):
                    self._requested.clear()
                    stopping.wait(MIN_INTERVAL_S if self._send() else BACK_OFF_S)
                elif self._clock() >= self._check_at:
                    self._send(wakes=False)
                progressed()

        # A daemon thread, because unsent messages can be lost without harm. Its name is a label value of the metric
        # saga_thread_alive, so it must not change.
        self._threads.add("waking", send_until_stopped, stopping, daemon=True).start()

    def up(self) -> dict[str, int]:
        """Return 1 or 0 by the protocol of the broker; nothing before the first try."""
        return {} if self.reachable is None else {self._protocol: int(self.reachable)}

    def _send(self, *, wakes: bool = True) -> bool:
        """Send one message, or only try the broker. Return True when the broker is reachable."""
        self.reachable, self._check_at = self._sent(wakes=wakes), self._clock() + CHECK_S
        return self.reachable

    def _sent(self, *, wakes: bool) -> bool:
        try:
            with self._celery.producer_pool.acquire(block=True) as producer, as_kombu_errors(producer.connection):
                queue = self._celery.amqp.queues[QUEUE].bind(producer.channel)
                declare_again(queue)
                # The declaration is not passive: a passive one fails for an empty queue, which does not exist in Redis.
                if queue.queue_declare().message_count < MAX_QUEUED and wakes:
                    self._celery.send_task(WAKE_UP, producer=producer, retry=False)
        except (KombuError, OSError) as error:
            _log.warning("broker.away", error=str(error))
            return False
        return True
