"""A participant that answers 200 at once, or after a while: `python -m benchmarks.responder PORT [DELAY_S]`."""

import asyncio
import sys

_BODY = b'{"ok":true}'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
_LENGTH = b"content-length:"


class Responder(asyncio.Protocol):
    """Reads one request after the other off a connection; there is no pipelining."""

    delay_s = 0.0

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
            if self.delay_s:
                asyncio.get_running_loop().call_later(self.delay_s, self._answer)
            else:
                self._answer()

    def _answer(self) -> None:
        self._transport.write(_ANSWER)


async def serve(port: int, delay_s: float) -> None:
    Responder.delay_s = delay_s
    server = await asyncio.get_running_loop().create_server(Responder, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0))  # noqa: PLR2004
