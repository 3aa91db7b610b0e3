"""Clients that each send one request after the other, with the figures as JSON.

`python -m benchmarks.load METHOD URL CONNECTIONS SECONDS [HEADER …]`. It implements only the HTTP that it needs, so
that a thousand clients leave most of the machine to the service under test.
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
_ANSWERED = (b"HTTP/1.1 200", b"HTTP/1.1 201", b"HTTP/1.1 202")
_LENGTH = b"content-length:"


class WrongAnswerError(Exception):
    """One that is not 2xx, or none."""


class Client(asyncio.Protocol):
    """A connection that sends requests until the time is over.

    took: how long each answer took, in seconds.
    ended: set at the end, or at the first answer that is not 2xx, with that answer.
    """

    def __init__(self, said: bytes, until: float, took: list[float]) -> None:
        self._said, self._until, self._took = said, until, took
        self._heard, self._begun = b"", 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, whole, body = self._heard.partition(b"\r\n\r\n")
        if not whole or len(body) < int(head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0] or 0):
            return
        self._took.append(time.perf_counter() - self._begun)
        if not head.startswith(_ANSWERED):
            self._end(f"{head.decode()}\n{body.decode()}")
        elif time.monotonic() < self._until:
            self._ask()
        else:
            self._end(None)

    def connection_lost(self, _error: Exception | None) -> None:
        self._end("the connection was lost")

    def _ask(self) -> None:
        self._heard, self._begun = b"", time.perf_counter()
        self._transport.write(self._said)

    def _end(self, wrong: str | None) -> None:
        self._transport.close()
        if not self.ended.done():
            if wrong:
                self.ended.set_exception(WrongAnswerError(wrong))
            else:
                self.ended.set_result(None)


async def drive(method: str, url: str, connections: int, seconds: float, headers: Mapping[str, str]) -> list[float]:
    """Give how long each order took, in seconds, if each is answered 2xx. Raises WrongAnswerError."""
    took: list[float] = []
    parts, loop = urlsplit(url), asyncio.get_running_loop()
    body = _BODY if method == "POST" else b""
    lines = {"Host": parts.netloc, "Content-Length": str(len(body))} | dict(headers)
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    said = f"{method} {parts.path} HTTP/1.1\r\n{head}\r\n".encode() + body
    until = time.monotonic() + seconds

    async def client() -> None:
        _transport, asking = await loop.create_connection(lambda: Client(said, until, took), parts.hostname, parts.port)
        await asking.ended

    await asyncio.gather(*(client() for _ in range(connections)))
    return took


if __name__ == "__main__":
    method, target, connections, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    more = dict(header.split(": ") for header in sys.argv[5:])
    given = {"Content-Type": "application/json"} | more
    try:
        sys.stdout.write(json.dumps(asyncio.run(drive(method, target, connections, seconds, given))))
    except (WrongAnswerError, OSError) as error:
        sys.exit(str(error))
