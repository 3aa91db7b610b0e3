"""Messages that wake workers, through Celery over Redis or RabbitMQ, whichever the URL names.

A message only says that something is due; the database decides what is due and who runs it. So one message wakes a
worker for many sagas, and a lost or repeated message changes nothing but the time.
"""

import threading
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
# For every connection of this process, including Celery's. kombu imports the transport when it connects to a Redis.
TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "app.redis_transport:Transport"))
#: Name of the Celery message that app.worker receives.
WAKE_UP = "saga.look"
#: Queue of that message, separate from other uses of the broker.
QUEUE = "saga"
#: Longest wait for the broker, in seconds.
TIMEOUT_S = 1.0
#: Seconds between two messages of one process. Sagas that become due in between share the second message.
MIN_INTERVAL_S = 0.2
#: Seconds until the next message after the broker was unreachable.
BACK_OFF_S = 5.0
#: Most messages in the queue. More are useless: a worker that receives one claims until nothing is due.
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
        broker_connection_max_retries=None,  # no limit: a worker waits for the broker to return
        broker_transport_options=connection_options(url),
        # A message only wakes the runner, which has its own threads.
        worker_pool="threads",
        worker_concurrency=1,
        # No message may stop a worker; and two workers on a machine would compete for the control queue.
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
    )
    return celery


def connection_options(url: str) -> dict[str, float]:
    """Return the transport's options: a short timeout and one connection attempt, so that senders wait at most 1 s."""
    waits = ("socket_timeout", "socket_connect_timeout") if url.startswith("redis") else ("write_timeout",)
    return {"max_retries": 0} | dict.fromkeys(waits, TIMEOUT_S)


@contextmanager
def as_kombu_errors(connection: Connection) -> Iterator[None]:
    """Convert the errors of Redis and AMQP, which are neither KombuError nor OSError, to kombu's OperationalError."""
    try:
        yield
    except (*connection.connection_errors, *connection.channel_errors) as error:
        raise OperationalError(str(error)) from error


def declare_again(queue: Queue) -> None:
    """Declare a queue again. A channel does not notice when Redis was flushed, so its memory is cleared first."""
    if getattr(queue.channel.connection, "driver_type", None) == "redis":
        bound = [(each.exchange, each.routing_key) for each in queue.bindings]
        for exchange, routing_key in bound or [(queue.exchange, queue.routing_key)]:
            queue.unbind_from(exchange, routing_key)  # only in the channel's memory; Redis loses nothing
    queue.declare()


class Broker:
    """Sends wake-up messages. After `start` a separate thread sends them, so that no caller waits."""

    def __init__(self, url: str, threads: ServiceThreads | None = None) -> None:
        self._celery = make_celery(url)
        self._threads = threads or ServiceThreads()
        self._requested, self._started = threading.Event(), False

    def wake(self) -> None:
        """Wake a worker, because a saga has become due. If the message is lost, a later check finds the saga."""
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
                progressed()

        # A daemon, because unsent messages may be lost. The name is a label value of saga_thread_alive.
        self._threads.add("waking", send_until_stopped, stopping, daemon=True).start()

    def _send(self) -> bool:
        """Send one message. Return True when the broker is reachable."""
        try:
            with self._celery.producer_pool.acquire(block=True) as producer, as_kombu_errors(producer.connection):
                queue = self._celery.amqp.queues[QUEUE].bind(producer.channel)
                declare_again(queue)
                # Not passive: in Redis an empty queue does not exist.
                if queue.queue_declare().message_count < MAX_QUEUED:
                    self._celery.send_task(WAKE_UP, producer=producer, retry=False)
        except (KombuError, OSError) as error:
            _log.warning("broker.away", error=str(error))
            return False
        return True
