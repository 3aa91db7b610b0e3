"""A broker of an amqps:// URL is used only when a trusted certificate names its host."""

import socket
import ssl
import threading
from contextlib import suppress
from typing import Self

import pytest
import trustme

from app.events.topics import connect


class TlsServer:
    """Reads the first bytes that each client sends over TLS, and closes the connection. name: in its certificate."""

    def __init__(self, ca: trustme.CA, name: str) -> None:
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ca.issue_cert(name).configure_cert(self._tls)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.received: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        while True:
            try:
                taken = self._listener.accept()[0]
            except OSError:  # the listener is closed
                return
            with taken, suppress(OSError), self._tls.wrap_socket(taken, server_side=True) as client:
                self.received.append(client.recv(4))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()


@pytest.mark.parametrize(
    ("name", "trusted", "spoken"),
    [("localhost", True, True), ("broker.example", True, False), ("localhost", False, False)],
)
def test_amqps_speaks_only_to_the_host_of_its_url(name, trusted, spoken, tmp_path, monkeypatch):
    ca = trustme.CA()
    (ca if trusted else trustme.CA()).cert_pem.write_to_path(tmp_path / "ca.crt")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.crt"))
    with TlsServer(ca, name) as server, connect(f"amqps://user:word@localhost:{server.port}//") as connection:
        for _ in range(2):  # kombu forgets the name of the host at the first connection
            with pytest.raises(OSError, match=r"closed|verify failed|reset"):
                connection.connect()
            assert set(server.received) == ({b"AMQP"} if spoken else set())
            server.received.clear()
