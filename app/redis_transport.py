"""A Redis transport for kombu that accepts values which are not messages.

Any client of Redis can push any value to a list. kombu raises an error for a value that it cannot decode, and the error
ends the thread that receives events, or the whole Celery worker. This transport makes such a value the body of a
message. The receiver then treats it like any other message that it cannot read.
"""

import uuid
from typing import Any

from kombu.transport import redis, virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads

#: Largest number of bytes that are kept of a value that is no message; it bounds the memory for such values.
MAX_UNREADABLE_BYTES = 128 * 1024


class Channel(redis.Channel):
    """Reads messages from Redis lists."""

    def _get_client(self) -> Any:
        """Return the class of the client that reads the lists."""
        client = super()._get_client()  # type: ignore[no-untyped-call]  # kombu has no types
        if not isinstance(client, type):  # kombu's client with a prefix for all keys, an option that is not used here
            return client
        channel = self

        class Client(client):  # type: ignore[misc, valid-type]
            def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
                answer = super().parse_response(connection, command_name, **options)
                if command_name == "BRPOP" and answer:
                    queue, item = answer
                    return queue, item if channel.can_read(item) else as_message(item, bytes_to_str(queue))
                return answer

        return Client

    def can_read(self, item: bytes) -> bool:
        """Return True when kombu can read the value as a message."""
        try:
            payload = loads(bytes_to_str(item))
            message = virtual.Message(payload, channel=self)
            return (
                isinstance(message.delivery_tag, str)
                and isinstance(message.headers, dict)
                and isinstance(message.properties, dict)
                and all(isinstance(message.delivery_info[name], str) for name in ("exchange", "routing_key"))
                and isinstance(message.body, str | bytes | None)
            )
        except Exception:  # noqa: BLE001  an error would end the reader
            return False


class Transport(redis.Transport):
    """kombu's transport for redis:// URLs. app.broker registers it."""

    Channel = Channel


def as_message(item: bytes | str, queue: str) -> str:
    """Return a message in kombu's format, with the item as its body, as if it had been sent to the queue."""
    raw = item if isinstance(item, bytes) else item.encode(errors="replace")
    message: str = dumps(
        {
            "body": raw[:MAX_UNREADABLE_BYTES].decode(errors="replace"),
            "content-type": "application/octet-stream",
            "content-encoding": "utf-8",
            "headers": {},
            "properties": {
                "delivery_tag": str(uuid.uuid4()),
                "delivery_info": {"exchange": "", "routing_key": queue},
                "body_encoding": None,
            },
        }
    )
    return message
