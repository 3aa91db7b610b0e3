"""A participant that answers 200 at once, or after DELAY_S seconds. It refuses one sale in EVERY (0: none).

`python -m benchmarks.responder PORT [DELAY_S [EVERY]]`.
"""

import asyncio
import sys

_BODY = b'{"ok":true}'
_SUCCESS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
_REFUSAL = b"HTTP/1.1 409 Conflict\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_LENGTH = b"content-length:"


class Responder(asyncio.Protocol):
    """One connection: reads a request, answers it, reads the next. Pipelining is not supported."""

    delay_s = 0.0
    every, sales = 0, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._read = transport, b""

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        if not end:
            return
        _, named, rest = head.lower().partition(_LENGTH)
        if not named or len(body) >= int(rest.partition(b"\r\n")[0]):
            self._read = b""
            response = _REFUSAL if self.every and self._refuses(head) else _SUCCESS
            if self.delay_s:
                asyncio.get_running_loop().call_later(self.delay_s, self._transport.write, response)
            else:
                self._transport.write(response)

    def _refuses(self, head: bytes) -> bool:
        sold = head.partition(b" HTTP")[0].endswith(b"/sell")
        Responder.sales += sold
        return sold and Responder.sales % self.every == 0


async def serve(port: int, delay_s: float, every: int) -> None:
    Responder.delay_s, Responder.every = delay_s, every
    server = await asyncio.get_running_loop().create_server(Responder, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    arguments = [*sys.argv[1:], "0", "0"]
    asyncio.run(serve(int(arguments[0]), float(arguments[1]), int(arguments[2])))
