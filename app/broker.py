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
#: Name of the Celery task in app.worker.
LOOK = "saga.look"
#: Queue of that task, separate from other uses of the broker.
NAME = "saga"
#: Longest wait for the broker, in seconds.
TIMEOUT_S = 1.0
#: Seconds between two messages of one process; sagas that become due in between share the second message.
PAUSE_S = 0.2
#: Seconds without a message after the broker was unreachable.
AWAY_S = 5.0
#: Most messages in the queue: each worker that receives one claims until nothing is due.
ENOUGH = 32


def make_celery(url: str) -> "Celery":
    from celery import Celery  # noqa: PLC0415  a process without a broker starts faster

    celery = Celery(NAME, broker=url)
    celery.conf.update(
        task_default_queue=NAME,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        broker_connection_timeout=TIMEOUT_S,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # no limit: a worker that gave up would not come back with the broker
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
    """Return the transport's options for a short timeout and one connection attempt, so that senders never wait."""
    waits = ("socket_timeout", "socket_connect_timeout") if url.startswith("redis") else ("write_timeout",)
    return {"max_retries": 0} | dict.fromkeys(waits, TIMEOUT_S)


@contextmanager
def errors_as_kombus(connection: Connection) -> Iterator[None]:
    """Raise a transport's own errors as kombu's: errors of Redis and AMQP are neither KombuError nor OSError."""
    try:
        yield
    except (*connection.connection_errors, *connection.channel_errors) as error:
        raise OperationalError(str(error)) from error


def declare_anew(queue: Queue) -> None:
    """Declare a queue, also after a flush of Redis, which the channel does not notice."""
    if getattr(queue.channel.connection, "driver_type", None) == "redis":
        bound = [(each.exchange, each.routing_key) for each in queue.bindings]
        for exchange, routing_key in bound or [(queue.exchange, queue.routing_key)]:
            queue.unbind_from(exchange, routing_key)  # only in the channel's memory; Redis loses nothing
    queue.declare()


class Broker:
    """Sends wake-up messages. After `begin` a separate thread sends them, so that no caller waits."""

    def __init__(self, url: str, threads: ServiceThreads | None = None) -> None:
        self._celery = make_celery(url)
        self._threads = threads or ServiceThreads()
        self._some, self._begun = threading.Event(), False

    def wake(self) -> None:
        """Wake a worker, because a saga has become due. If the message is lost, a later check finds the saga."""
        if self._begun:
            self._some.set()
        else:
            self._send()

    def begin(self, stopping: threading.Event) -> None:
        self._begun = True

        def send_until_stopped(progressed: Callable[[], None]) -> None:
            while not stopping.is_set():
                if self._some.wait(TIMEOUT_S):
                    self._some.clear()
                    stopping.wait(PAUSE_S if self._send() else AWAY_S)
                progressed()

        # A daemon: unsent messages may be lost.
        self._threads.add("waking", send_until_stopped, stopping, daemon=True).start()

    def _send(self) -> bool:
        """Send one message. Return True when the broker is reachable."""
        try:
            with self._celery.producer_pool.acquire(block=True) as producer, errors_as_kombus(producer.connection):
                queue = self._celery.amqp.queues[NAME].bind(producer.channel)
                declare_anew(queue)
                # Not passive: in Redis an empty queue does not exist.
                if queue.queue_declare().message_count < ENOUGH:
                    self._celery.send_task(LOOK, producer=producer, retry=False)
        except (KombuError, OSError) as error:
            _log.warning("broker.away", error=str(error))
            return False
        return True
