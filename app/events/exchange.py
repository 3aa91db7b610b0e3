"""Where events go and where they come from: one topic exchange for each, with the event's name as the routing key."""

from typing import Any

from kombu.connection import Connection
from kombu.entity import Exchange, Queue, binding

from app.broker import TIMEOUT_S, connection_options, errors_as_kombus
from app.events.cloudevent import CONTENT_TYPE
from app.values import written

#: What sagas tell: who wants to know binds a queue of his own to it.
TOLD = Exchange("saga.events", type="topic", durable=True)
#: What others tell sagas.
HEARD = Exchange("saga.incoming", type="topic", durable=True)
#: Where a message that nobody acknowledged comes back from, where the broker does not see that its reader has died.
_UNSEEN_S = 60


def heard(events: list[str]) -> Queue:
    """Return the one queue in which all these events wait; every replica reads from it.

    It has one binding for each event. Several queues of one name would not do: kombu keeps them by their names.
    """
    return Queue("saga.incoming", bindings=[binding(HEARD, event) for event in events], durable=True)


def connect(url: str) -> Connection:
    """Give a connection that is made when it is used first, and then is tried once."""
    options: dict[str, Any] = dict(connection_options(url))
    if url.startswith("amqp"):
        options["confirm_publish"] = True  # published is what the broker has taken, not what was sent to it
    else:
        # What nobody wants to know is dropped, as RabbitMQ does, and not collected without end.
        options["deadletter_queue"] = None
    if url.startswith("redis"):
        options["visibility_timeout"] = _UNSEEN_S
    return Connection(url, transport_options=options, connect_timeout=TIMEOUT_S)


class Publisher:
    """Publishes over a connection that it makes anew after each failure."""

    def __init__(self, url: str) -> None:
        self._connection = connect(url)

    def publish(self, event: dict[str, Any]) -> None:
        """Return when the broker has taken the event. Raises kombu's errors, or OSError, when it may not have."""
        try:
            with errors_as_kombus(self._connection):
                self._connection.Producer().publish(
                    written(event),
                    exchange=TOLD,
                    declare=[TOLD],
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
