"""kombu's transport for Redis, which lets in what is no message.

A Redis list takes any value from anybody. kombu raises an error out of its event loop for a value that it cannot
decode, which ends whoever reads: the event intake, or a whole Celery worker. Here such a value becomes a message whose
body it is, so that each reader treats it as it treats any message that it does not understand.
"""

import uuid
from typing import Any

from kombu.transport import redis, virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads

#: In bytes. Of a longer value that is no message, the rest is dropped.
LARGEST_GARBAGE = 128 * 1024


class Channel(redis.Channel):
    def _get_client(self) -> Any:
        """Return the class of the client that reads the lists."""
        made = super()._get_client()  # type: ignore[no-untyped-call]  # kombu has no types
        if not isinstance(made, type):  # with a prefix for all keys, which is never set here
            return made
        channel = self

        class Client(made):  # type: ignore[misc, valid-type]
            def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
                answer = super().parse_response(connection, command_name, **options)
                if command_name == "BRPOP" and answer:
                    queue, item = answer
                    return queue, item if channel.understands(item) else as_message(item, bytes_to_str(queue))
                return answer

        return Client

    def understands(self, item: bytes) -> bool:
        """Return True when kombu can make a message of it."""
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
        except Exception:  # noqa: BLE001  whatever it raises here, it would raise out of the event loop
            return False


class Transport(redis.Transport):
    Channel = Channel


def as_message(item: bytes | str, queue: str) -> str:
    """Return what kombu reads as a message with this body, sent straight to the queue."""
    raw = item if isinstance(item, bytes) else item.encode(errors="replace")
    message: str = dumps(
        {
            "body": raw[:LARGEST_GARBAGE].decode(errors="replace"),
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
