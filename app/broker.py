"""Messages that wake a worker: by Celery over Redis or RabbitMQ, whichever the URL names.

A message only says which saga to look at. Whether it is to be run, and by whom, its lease decides; so a message may
get lost or come twice, and nothing changes but the time.
"""

from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from kombu.exceptions import KombuError

from app.breaker import Breaker, BreakerPolicy

if TYPE_CHECKING:
    from celery import Celery

_log = structlog.get_logger("broker")
#: The tasks of app.worker, by name.
RUN, RECOVER = "saga.run", "saga.recover"
#: The queue of both, and of nothing else that the broker may be used for.
NAME = "saga"
#: Longer than this no request waits for the broker.
TIMEOUT_S = 1.0
_POLICY = BreakerPolicy(failures=1, open_s=5.0, window_s=1.0)
#: More than there are requests at once: one that waited for another's connection would wait out its timeout as well.
_CONNECTIONS = 1000


def make_celery(url: str) -> "Celery":
    from celery import Celery  # noqa: PLC0415  a process without a broker starts sooner

    celery = Celery(NAME, broker=url)
    celery.conf.update(
        task_default_queue=NAME,
        task_ignore_result=True,
        # A worker that dies gives its message back, where the broker can; the lease would do as well.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        broker_connection_timeout=TIMEOUT_S,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # for ever: a worker that gave up would be missed once it is back
        broker_transport_options=connection_options(url),
        # Sagas wait for the network all the time: threads hold many of them.
        worker_pool="threads",
        # Nobody is to stop a worker by a message; and two on a machine would contend for the queue of such messages.
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
    )
    return celery


def connection_options(url: str) -> dict[str, float]:
    """Say, in the words of each transport, that one who sends is not kept waiting, and tries to connect but once."""
    waits = ("socket_timeout", "socket_connect_timeout") if url.startswith("redis") else ("write_timeout",)
    return {"max_retries": 0} | dict.fromkeys(waits, TIMEOUT_S)


class Broker:
    """Sends wake-ups. One that cannot be sent is left out: its saga is taken by whoever finds it due."""

    def __init__(self, url: str) -> None:
        self._celery, self._breaker = make_celery(url), Breaker(_POLICY)
        self._celery.conf.broker_pool_limit = _CONNECTIONS

    def wake(self, saga_id: UUID) -> None:
        if self._breaker.admit(TIMEOUT_S) > 0:
            return
        try:
            self._celery.send_task(RUN, args=[str(saga_id)], retry=False)
        except (KombuError, OSError) as error:
            self._breaker.failed()
            _log.warning("broker.away", error=str(error))
        else:
            self._breaker.succeeded()
