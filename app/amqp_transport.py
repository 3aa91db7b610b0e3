"""A kombu transport for amqps:// URLs that checks whether the server's certificate names the host of the URL.

kombu checks by default only whether a CA of the system has signed the certificate. A public CA signs one for anybody.
"""

from typing import Any

from kombu.transport import pyamqp


class Transport(pyamqp.SSLTransport):
    """kombu's transport for amqps:// URLs. app.broker registers it."""

    def establish_connection(self) -> Any:
        client: Any = self.client
        given = client.ssl if isinstance(client.ssl, dict) else {}
        host = client.hostname
        if host == "127.0.0.1" and given.get("server_hostname") == "localhost":  # kombu has replaced the name
            host = "localhost"
        client.ssl = {**given, "server_hostname": host}
        return super().establish_connection()  # type: ignore[no-untyped-call]  # kombu has no types
