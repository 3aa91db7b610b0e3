"""Messages that wake workers: by Celery over Redis or RabbitMQ, whichever the URL names.

A message says that something is due, and nothing else: what that is, and who runs it, the database decides. So one
wakes a worker for many sagas, and it may get lost or come twice, and nothing changes but the time.
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

from app.supervision import ServiceThreads

if TYPE_CHECKING:
    from celery import Celery

_log = structlog.get_logger("broker")
# For every connection of this process, Celery's as well. kombu imports it where there is a Redis.
TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "app.redis_transport:Transport"))
#: The task of app.worker, by name.
LOOK = "saga.look"
#: The queue of it, and of nothing else that the broker may be used for.
NAME = "saga"
#: Longer than this nobody waits for the broker.
TIMEOUT_S = 1.0
#: Between two messages of one process; all that becomes due in between is in the second.
PAUSE_S = 0.2
#: A broker that is away is left in peace for so long.
AWAY_S = 5.0
#: More need not wait for workers: who has one looks until nothing is due.
ENOUGH = 32


def make_celery(url: str) -> "Celery":
    from celery import Celery  # noqa: PLC0415  a process without a broker starts sooner

    celery = Celery(NAME, broker=url)
    celery.conf.update(
        task_default_queue=NAME,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        broker_connection_timeout=TIMEOUT_S,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # for ever: a worker that gave up would be missed once it is back
        broker_transport_options=connection_options(url),
        # All that is to be done for a message is to wake the runner, which has threads of its own.
        worker_pool="threads",
        worker_concurrency=1,
        # Nobody is to stop a worker by a message; and two on a machine would contend for the queue of such messages.
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
    )
    return celery


def connection_options(url: str) -> dict[str, float]:
    """Say, in the words of each transport, that one who sends is not kept waiting, and tries to connect but once."""
    waits = ("socket_timeout", "socket_connect_timeout") if url.startswith("redis") else ("write_timeout",)
    return {"max_retries": 0} | dict.fromkeys(waits, TIMEOUT_S)


@contextmanager
def errors_as_kombus(connection: Connection) -> Iterator[None]:
    """Raise a transport's own errors as kombu's: those of Redis and of AMQP are neither KombuError nor OSError."""
    try:
        yield
    except (*connection.connection_errors, *connection.channel_errors) as error:
        raise OperationalError(str(error)) from error


def declare_anew(queue: Queue) -> None:
    """Declare a queue of a channel; also where Redis was flushed, which its channel does not know."""
    if getattr(queue.channel.connection, "driver_type", None) == "redis":
        bound = [(each.exchange, each.routing_key) for each in queue.bindings]
        for exchange, routing_key in bound or [(queue.exchange, queue.routing_key)]:
            queue.unbind_from(exchange, routing_key)  # in the channel's memory alone; Redis loses nothing
    queue.declare()


class Broker:
    """Sends wake-ups. Once it has begun, a thread of its own does, and nobody waits for that."""

    def __init__(self, url: str, threads: ServiceThreads | None = None) -> None:
        self._celery = make_celery(url)
        self._threads = threads or ServiceThreads()
        self._some, self._begun = threading.Event(), False

    def wake(self) -> None:
        """Let a worker look soon, for something has become due. Without a message somebody finds it all the same."""
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

        # A daemon: what it does not send is not missed.
        self._threads.add("waking", send_until_stopped, stopping, daemon=True).start()

    def _send(self) -> bool:
        """Tell whether the broker is there."""
        try:
            with self._celery.producer_pool.acquire(block=True) as producer, errors_as_kombus(producer.connection):
                queue = self._celery.amqp.queues[NAME].bind(producer.channel)
                declare_anew(queue)
                # Not passively: Redis has no queue that is empty.
                if queue.queue_declare().message_count < ENOUGH:
                    self._celery.send_task(LOOK, producer=producer, retry=False)
        except (KombuError, OSError) as error:
            _log.warning("broker.away", error=str(error))
            return False
        return True
