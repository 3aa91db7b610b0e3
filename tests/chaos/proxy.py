"""An unreliable network between orchestrators and participants.

`python -m tests.chaos.proxy PORT PARTICIPANTS_PORT SEED` forwards every call except those that get a fault. POST
/_proxy changes the fault settings. GET /_proxy returns the faults of each call, by its Idempotency-Key.
"""

import asyncio
import contextlib
import json
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.faults import Fault, FaultSettings
from tests.chaos.wire import Message, exchange, read_message, reply
from tests.support.waiting import HOST

CONTROL = "/_proxy"
ARRIVED = "arrived"


@dataclass
class Proxy:
    """The proxy's state."""

    #: The host and port of the participants.
    participants: tuple[str, int]
    settings: FaultSettings
    #: How often each call arrived and had each fault, by its Idempotency-Key.
    done: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    #: Deliveries of calls that have not arrived yet.
    late: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The connection of a killed orchestrator closes during a call. This is no error of the proxy.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                request = await read_message(reader)
                answer = self._control(request) if request.path == CONTROL else await self._answered(request)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        writer.close()

    async def _answered(self, request: Message) -> bytes | None:
        """Return the reply, or None when the fault loses the connection."""
        fault = self.settings.draw(request.path)
        self.done[request.header("Idempotency-Key")].update([ARRIVED, *([fault] if fault else [])])
        match fault:
            case Fault.LOST_CALL:
                return None
            case Fault.LATE_CALL:
                self._send_later(request)
                return None
            case Fault.ERROR_500:
                return reply(500, "Internal Server Error")
            case Fault.DOWN:
                return reply(503, "Service Unavailable")
            case _:
                return await self._forwarded(request, fault)

    async def _forwarded(self, request: Message, fault: Fault | None) -> bytes | None:
        wait_s = self.settings.wait_s() if fault is Fault.DELAY else 0
        before = self.settings.coin()
        await asyncio.sleep(wait_s if before else 0)
        if fault is Fault.DUPLICATE:
            answers = await asyncio.gather(*(exchange(self.participants, request) for _ in range(2)))
            return answers[self.settings.coin()]
        answer = await exchange(self.participants, request)
        await asyncio.sleep(0 if before else wait_s)
        if fault is Fault.LATE_DUPLICATE:
            self._send_later(request)
        if fault is Fault.ERROR_503_AFTER:
            return reply(503, "Service Unavailable")
        return None if fault is Fault.LOST_REPLY else answer

    def _send_later(self, request: Message) -> None:
        async def send() -> None:
            await asyncio.sleep(self.settings.wait_s() * 4)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await exchange(self.participants, request)

        late = asyncio.create_task(send())
        self.late.add(late)
        late.add_done_callback(self.late.discard)

    def _control(self, request: Message) -> bytes:
        if request.method == "POST":
            for name, value in json.loads(request.body).items():
                setattr(self.settings, name, value)
        return reply(200, "OK", self._figures())

    def _figures(self) -> dict[str, Any]:
        return {"calls": self.done, "late": len(self.late)}


async def main(port: int, participants_port: int, seed: int) -> None:
    proxy = Proxy((HOST, participants_port), FaultSettings(seed))
    async with await asyncio.start_server(proxy.serve, HOST, port, backlog=512) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
