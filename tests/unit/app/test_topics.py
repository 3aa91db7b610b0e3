import pytest
import redis
from amqp.exceptions import ConnectionForced, NotFound
from kombu.exceptions import KombuError

from app.events.topics import as_kombu_errors, connect


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("redis://127.0.0.1:9/1", redis.ConnectionError("Connection closed by server.")),
        ("redis://127.0.0.1:9/1", redis.TimeoutError("Timeout reading from socket")),
        ("redis://127.0.0.1:9/1", redis.OutOfMemoryError("command not allowed when used memory > 'maxmemory'")),
        ("redis://127.0.0.1:9/1", redis.ReadOnlyError("You can't write against a read only replica.")),
        ("amqp://127.0.0.1:9//", ConnectionForced("CONNECTION_FORCED - broker forced connection closure")),
        ("amqp://127.0.0.1:9//", NotFound("no exchange")),
    ],
)
def test_error_of_the_broker_library_becomes_an_error_of_kombu(url, error):
    """The event threads catch only errors of kombu, and then wait for the broker. Other errors would end a thread."""
    with pytest.raises(KombuError, match=str(error)[:20]), as_kombu_errors(connect(url)):
        raise error
