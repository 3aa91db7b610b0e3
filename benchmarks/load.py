"""The load generator: each connection sends one request after the other; the durations are printed as JSON.

`python -m benchmarks.load METHOD URL CONNECTIONS SECONDS [HEADER …]`. It implements only the HTTP that it needs, so
that a thousand connections leave most of the CPU to the service under test.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

_NOTE = "x" * int(os.environ.get("BENCH_NOTE", "4"))
_BODY = json.dumps({"customer": "Ada", "amount": 12, "note": _NOTE}).encode()
_SUCCESS = (b"HTTP/1.1 200", b"HTTP/1.1 201", b"HTTP/1.1 202")
_LENGTH = b"content-length:"


class UnexpectedResponseError(Exception):
    """A response that is not 2xx, or a lost connection."""


class Client(asyncio.Protocol):
    """A connection that sends requests until the time `until` (of the monotonic clock).

    durations: the duration of each request in seconds is added to this list.
    ended: a future that is done at the end; it fails at the first response that is not 2xx.
    """

    def __init__(self, request: bytes, until: float, durations: list[float]) -> None:
        self._request, self._until, self._durations = request, until, durations
        self._received, self._sent_at = b"", 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, complete, body = self._received.partition(b"\r\n\r\n")
        if not complete or len(body) < int(head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0] or 0):
            return
        self._durations.append(time.perf_counter() - self._sent_at)
        if not head.startswith(_SUCCESS):
            self._end(f"{head.decode()}\n{body.decode()}")
        elif time.monotonic() < self._until:
            self._send()
        else:
            self._end(None)

    def connection_lost(self, _error: Exception | None) -> None:
        self._end("the connection was lost")

    def _send(self) -> None:
        self._received, self._sent_at = b"", time.perf_counter()
        self._transport.write(self._request)

    def _end(self, error: str | None) -> None:
        self._transport.close()
        if not self.ended.done():
            if error:
                self.ended.set_exception(UnexpectedResponseError(error))
            else:
                self.ended.set_result(None)


async def drive(method: str, url: str, connections: int, seconds: float, headers: Mapping[str, str]) -> list[float]:
    """Return the duration of each request in seconds. Raise UnexpectedResponseError for an answer other than 2xx."""
    durations: list[float] = []
    parts, loop = urlsplit(url), asyncio.get_running_loop()
    body = _BODY if method == "POST" else b""
    lines = {"Host": parts.netloc, "Content-Length": str(len(body))} | dict(headers)
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    request = f"{method} {parts.path} HTTP/1.1\r\n{head}\r\n".encode() + body
    until = time.monotonic() + seconds

    async def client() -> None:
        _transport, protocol = await loop.create_connection(
            lambda: Client(request, until, durations), parts.hostname, parts.port
        )
        await protocol.ended

    await asyncio.gather(*(client() for _ in range(connections)))
    return durations


if __name__ == "__main__":
    method, target, connections, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    headers = {"Content-Type": "application/json"} | dict(header.split(": ") for header in sys.argv[5:])
    try:
        sys.stdout.write(json.dumps(asyncio.run(drive(method, target, connections, seconds, headers))))
    except (UnexpectedResponseError, OSError) as error:
        sys.exit(str(error))
