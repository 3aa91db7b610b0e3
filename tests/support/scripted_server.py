"""A server on a real socket. It sends exactly the bytes that a test sets."""

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

LOCAL = "127.0.0.1"


def http(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    """Return the bytes of an answer, with its Content-Length."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


class ScriptedServer:
    """A server that answers each request, on any connection, with the next element of `answers`.

    An answer of type bytes is sent in one piece, a tuple in pieces that are 50 ms apart. None closes the connection
    without an answer. When no answer is left, the connection stays open until `release` is set. With
    `reads_body=False`, the server answers when it has received the head of the request.
    """

    def __init__(self, host: str = LOCAL, tls: ssl.SSLContext | None = None, *, reads_body: bool = True) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, 0), family=family)
        self.host, self.port = host, self.listener.getsockname()[1]
        self.answers: list[bytes | tuple[bytes, ...] | None] = []
        self.received: list[bytes] = []
        self.first_pieces: list[bytes] = []
        self.closed = threading.Semaphore(0)
        self.connections = 0
        self.release = threading.Event()
        self._tls, self._reads_body = tls, reads_body
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    def close(self) -> None:
        self.release.set()
        self.listener.close()

    def headers(self, number: int = -1) -> Mapping[str, str]:
        """Return the headers of a request, by name in lower case."""
        lines = self.received[number].partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def body(self, number: int = -1) -> bytes:
        return self.received[number].partition(b"\r\n\r\n")[2]

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        try:
            with connection, suppress(OSError):
                if self._tls:
                    with self._tls.wrap_socket(connection, server_side=True) as secured:
                        self._answer(secured)
                else:
                    self._answer(connection)
        finally:
            self.closed.release()

    def _answer(self, connection: socket.socket) -> None:
        while self.answers:
            first_piece = connection.recv(65_536)
            received = first_piece and _whole_request(connection, first_piece, reads_body=self._reads_body)
            if not received:
                return
            self.first_pieces.append(first_piece)
            self.received.append(received)
            answer = self.answers.pop(0)
            if answer is None:
                return
            for number, piece in enumerate(answer if isinstance(answer, tuple) else (answer,)):
                if number and self.release.wait(0.05):
                    return
                connection.sendall(piece)
        self.release.wait(10)


def _whole_request(connection: socket.socket, received: bytes, *, reads_body: bool) -> bytes:
    while b"\r\n\r\n" not in received:
        more = connection.recv(65_536)
        if not more:
            return b""
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while reads_body and lengths and len(body) < int(lengths[0]):
        more = connection.recv(65_536)
        if not more:
            return b""
        body += more
    return head + b"\r\n\r\n" + body


@contextmanager
def serving(
    host: str = LOCAL, tls: ssl.SSLContext | None = None, *, reads_body: bool = True
) -> Iterator[ScriptedServer]:
    server = ScriptedServer(host, tls, reads_body=reads_body)
    try:
        yield server
    finally:
        server.close()


class HttpProxy:
    """A forward proxy. It opens a tunnel for CONNECT, and answers every other request itself."""

    def __init__(self, refuses: bytes = b"", goes_to: tuple[str, int] | None = None) -> None:
        self.listener = socket.create_server((LOCAL, 0))
        self.url = f"http://{LOCAL}:{self.listener.getsockname()[1]}"
        self.heads: list[bytes] = []
        self._refuses, self._goes_to = refuses, goes_to
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self.listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head = connection.recv(65_536)
            self.heads.append(head)
            if self._refuses:
                connection.sendall(self._refuses)
            elif head.startswith(b"CONNECT "):
                host, _, port = head.split(b" ")[1].decode().rpartition(":")
                with socket.create_connection(self._goes_to or (host.strip("[]"), int(port))) as onward:
                    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    back = threading.Thread(target=_pump, args=(onward, connection), daemon=True)
                    back.start()
                    _pump(connection, onward)
                    back.join(5)
            else:
                connection.sendall(http(b'{"by": "proxy"}', headers="Connection: close\r\n"))


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65_536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
