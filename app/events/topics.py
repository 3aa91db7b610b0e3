"""The topic exchanges of events, and the connections to the broker. The routing key is the type of the event."""

import time
from collections.abc import Sequence
from typing import Any

from kombu.connection import Connection
from kombu.entity import Exchange, Queue, binding

from app.broker import TIMEOUT_S, as_kombu_errors, connection_options
from app.events.cloudevent import CONTENT_TYPE
from app.events.signatures import signature_headers
from app.values import written

#: Events that sagas publish. A subscriber binds its own queue to this exchange.
OUTGOING = Exchange("saga.events", type="topic", durable=True)
#: Events that may start sagas.
INCOMING = Exchange("saga.incoming", type="topic", durable=True)
#: Redis: seconds after which a message without acknowledgement is delivered again, because its consumer may have died.
_VISIBILITY_TIMEOUT_S = 60


def incoming_queue(event_types: list[str]) -> Queue:
    """Return the queue of all these events; every replica consumes it.

    The queue has one binding per event type. Several queues of one name would not work: kombu finds a queue by name.
    """
    return Queue("saga.incoming", bindings=[binding(INCOMING, name) for name in event_types], durable=True)


def connect(url: str) -> Connection:
    """Return a connection. Its first use opens it, with only one attempt."""
    options: dict[str, Any] = dict(connection_options(url))
    if url.startswith("amqp"):
        options["confirm_publish"] = True  # an event counts as published when the broker has confirmed it
    else:
        # An event without a subscriber is dropped, as in RabbitMQ; otherwise such events would pile up for ever.
        options["deadletter_queue"] = None
    if url.startswith("redis"):
        options["visibility_timeout"] = _VISIBILITY_TIMEOUT_S
    return Connection(url, transport_options=options, connect_timeout=TIMEOUT_S)


class Publisher:
    """Publishes events. After an error the next event opens a new connection. keys: each of them signs each event."""

    def __init__(self, url: str, keys: Sequence[bytes] = ()) -> None:
        self._connection, self._keys = connect(url), keys

    def publish(self, event: dict[str, Any]) -> None:
        """Publish an event and wait for the broker's confirmation. Raise an error of kombu or OSError if none comes."""
        body = written(event)
        headers = signature_headers(event["id"], body, self._keys, time.time()) if self._keys else None
        try:
            with as_kombu_errors(self._connection):
                self._connection.Producer().publish(
                    body,
                    headers=headers,
                    exchange=OUTGOING,
                    declare=[OUTGOING],
                    routing_key=event["type"],
                    content_type=CONTENT_TYPE,
                    content_encoding="utf-8",
                    retry=False,
                    confirm_timeout=TIMEOUT_S,
                )
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        self._connection.release()
