"""Bounds the memory of large answers that their clients do not read.

granian keeps an answer until it is sent, and does not say when that was. The kernel knows: a connection whose client
does not read has bytes that were not acknowledged (`tx_queue` of /proc/net/tcp). So a large answer takes room until a
look at the connections shows that its connection has ended, or has no such bytes.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

#: Smallest size of a large answer, in bytes. 2,500 connections with smaller ones fit into the memory of a replica.
LARGE_BYTES = 64 * 1024
#: Largest part of a file that granian holds for one connection, in bytes: two pieces of 128 KiB.
FILE_BYTES = 256 * 1024
#: One address gets at most this part of the room, so that others still get answers.
SHARE = 4
#: Seconds after which an answer of which no byte waits in the kernel has been sent. It reaches the kernel in
#: milliseconds; a longer time would refuse the answers to a busy proxy, which has one address.
FRESH_S = 0.3
#: Shortest time between two looks at the connections, in seconds. A look at 2,500 connections takes 5 ms.
LOOK_S = 0.1
#: The connections of this process's network, as the kernel shows them.
_TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))


def peers_behind(port: int) -> set[int]:
    """Return the clients' ports of the connections to this port whose clients have not acknowledged all bytes.

    Return an empty set where the system has no such tables, as on macOS: the answers are then not bounded.
    """
    local, behind = f":{port:04X}", set()
    for table in _TABLES:
        with suppress(OSError):
            for line in table.read_text().splitlines()[1:]:
                _, here, there, _, queues, *_ = line.split(None, 5)
                if here.endswith(local) and not queues.startswith("00000000:"):
                    behind.add(int(there.rpartition(":")[2], 16))
    return behind


class Room:
    """The room for large answers of one kind. most: largest sum of their sizes, in bytes."""

    def __init__(self, most: int, behind: Callable[[], set[int]], clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._behind, self._clock = most, behind, clock
        self._lock, self._looked_at = threading.Lock(), -LOOK_S
        #: Address and port of a client → size of its answer and the time of its start.
        self._answers: dict[tuple[str, str], tuple[int, float]] = {}
        self._of_address = Counter[str]()

    def take(self, client: str, size: int) -> bool:
        """Take room for an answer. Return False when there is none. client: address and port.

        The only answer to an address has room whatever its size, unless all room is taken.
        """
        address, _, port = client.rpartition(":")
        with self._lock:
            if not self._fits(address, size) and self._clock() - self._looked_at >= LOOK_S:
                self._forget_sent()
            if not self._fits(address, size):
                return False
            self._forget((address, port))  # the client has read its last answer, because it sent a request
            self._answers[address, port] = size, self._clock()
            self._of_address[address] += size
            return True

    def _fits(self, address: str, size: int) -> bool:
        held = self._of_address[address]
        return self._of_address.total() < self._most and (not held or held + size <= self._most // SHARE)

    def _forget_sent(self) -> None:
        self._looked_at = self._clock()
        behind = self._behind()
        for client, (_, since) in list(self._answers.items()):
            if self._looked_at - since >= FRESH_S and int(client[1]) not in behind:
                self._forget(client)

    def _forget(self, client: tuple[str, str]) -> None:
        size, _ = self._answers.pop(client, (0, 0.0))
        self._of_address[client[0]] -= size
        if not self._of_address[client[0]]:
            del self._of_address[client[0]]
