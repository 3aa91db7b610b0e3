"""HTTP/1.1 as far as the proxy needs it: one message with a Content-Length, kept as the bytes received."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Message:
    head: bytes
    body: bytes

    @property
    def path(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode()

    @property
    def whole(self) -> bytes:
        return self.head + self.body

    def header(self, name: str) -> str:
        for line in self.head.split(b"\r\n")[1:]:
            found, _, value = line.partition(b":")
            if found.strip().lower() == name.lower().encode():
                return value.strip().decode()
        return ""


async def read_message(reader: asyncio.StreamReader) -> Message:
    """Read one message. Raise IncompleteReadError at the end of the connection."""
    head = Message(head=await reader.readuntil(b"\r\n\r\n"), body=b"")
    if head.header("Transfer-Encoding"):
        raise ValueError("chunked messages are not forwarded")
    return Message(head=head.head, body=await reader.readexactly(int(head.header("Content-Length") or 0)))


def reply(status: int, title: str, body: dict[str, Any] | None = None) -> bytes:
    content = json.dumps(body or {"title": title}).encode()
    head = f"HTTP/1.1 {status} {title}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


async def exchange(address: tuple[str, int], request: Message) -> bytes:
    """Send the request on a new connection, so that an error affects no other request; return the reply."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(request.whole)
        return (await read_message(reader)).whole
    finally:
        writer.close()
