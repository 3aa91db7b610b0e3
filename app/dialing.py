"""Connects to a host. One deadline bounds the name resolution and the attempts at all addresses of the host.

`socket.create_connection` has no such deadline: its timeout applies to each address, and not to the name resolution.
"""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from math import inf
from typing import Any

from app.server_urls import bracketed

#: One address of a host, in the form of `socket.getaddrinfo`.
AddressInfo = tuple[int, int, int, str, Any]
#: `socket.getaddrinfo`, or its replacement in a test.
LookUp = Callable[..., Sequence[AddressInfo]]

#: Longest time for one address to accept a connection, in seconds. TCP can repeat one lost packet within this time.
CONNECT_TIMEOUT_S = 2.0
#: How long an answer of the name server is used without a new query, in seconds.
FRESH_S = 5.0
#: How long the last answer is used when the name server fails, in seconds; not longer, because addresses change.
KEPT_S = 60.0
#: Longest wait for the name server when an older answer is known, in seconds.
PATIENCE_S = 0.5
#: For this time after a failure, in seconds, an address is tried only after the other addresses.
SHUNNED_S = 30.0
_FEW = 3  # largest number of addresses that an error message names

#: Socket options: with these times, in seconds (USER_TIMEOUT: milliseconds), TCP notices a dead peer in half a minute.
#: With the defaults of the system it needs hours.
_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] + [
    (socket.IPPROTO_TCP, getattr(socket, name), value)
    for name, value in {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 20_000}.items()
    if hasattr(socket, name)  # not every system has all of them
]


class UnreachableError(OSError):
    """No connection could be made. The text is the reason in plain words."""


class Dialer:
    """Connects to hosts, for many threads at once. Its deadlines are times on `clock`.

    allows: returns True for an IP address to which a connection is allowed. It checks the address itself, after the
    name resolution. So the name cannot get another address between the check and the connection.
    """

    def __init__(
        self, look_up: LookUp = socket.getaddrinfo, clock: Callable[[], float] = time.monotonic,
        allows: Callable[[str], bool] = lambda _address: True,
    ) -> None:  # fmt: skip
        self._resolver, self._clock, self._allows = Resolver(look_up, clock), clock, allows
        self._failed: dict[Any, float] = {}  # address → when it was last unreachable

    def connect(self, host: str, port: int, deadline: float) -> socket.socket:
        """Return a socket connected to the first address that accepts. Raise UnreachableError when no address accepts.

        Each address gets an equal share of the remaining time, so that an unreachable address does not use all of it.
        """
        addresses, said = self._resolver.addresses(host, port, deadline), list[str]()
        now, failed = self._clock(), self._failed
        addresses = sorted(addresses, key=lambda address: now - failed.get(address[4], -inf) < SHUNNED_S)
        for number, address in enumerate(addresses):
            if not self._allows(address[4][0]):
                said.append(f"{_place(host, port, address)} is an address that must not be called")
                continue
            left = deadline - self._clock()
            if left <= 0:
                break
            share = min(CONNECT_TIMEOUT_S, left / (len(addresses) - number))
            try:
                return _open(address, share)
            except OSError as error:
                said.append(f"{_place(host, port, address)} {_why(error)}")
                self._note_failure(address[4])
        raise UnreachableError("; ".join(said[:_FEW]) or f"no time was left to connect to {bracketed(host)}:{port}")

    def _note_failure(self, address: Any) -> None:
        now = self._clock()
        self._failed = {known: at for known, at in self._failed.items() if now - at < SHUNNED_S} | {address: now}


class Resolver:
    """Resolves names in separate threads, so that a caller can stop waiting for the name server at its deadline.

    There is at most one thread for each name. All callers that need the name wait for its thread.
    """

    def __init__(self, look_up: LookUp, clock: Callable[[], float]) -> None:
        self._look_up, self._clock, self._lock = look_up, clock, threading.Lock()
        self._running: dict[tuple[str, int], Future[Sequence[AddressInfo]]] = {}
        self._known: dict[tuple[str, int], tuple[Sequence[AddressInfo], float]] = {}

    def addresses(self, host: str, port: int, deadline: float) -> Sequence[AddressInfo]:
        """Return the addresses of the host. Raise UnreachableError when no address is found before the deadline."""
        with suppress(socket.gaierror):  # a numeric address: no query is needed
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        now = self._clock()
        known, known_at = self._known.get((host, port), ((), -inf))
        if now - known_at < FRESH_S:
            return known
        left = max(deadline - now, 0.0)
        kept = known if now - known_at < KEPT_S else ()
        try:
            return self._answer(host, port).result(min(PATIENCE_S, left / 4) if kept else left)
        except TimeoutError:
            why = f"the name server did not answer for {host} in time"
        except (OSError, ValueError) as error:  # ValueError: a name that cannot be queried
            if not _passing(error):
                raise UnreachableError(f"there is no host named {host}") from error
            why = f"the name server has no answer at the moment for {host} is"
        if kept:
            return kept
        raise UnreachableError(why)

    def _answer(self, host: str, port: int) -> "Future[Sequence[AddressInfo]]":
        with self._lock:
            if running := self._running.get((host, port)):
                return running
            answer = Future[Sequence[AddressInfo]]()
            # A daemon thread, so that the process can end while the name server is silent.
            try:
                threading.Thread(target=self._ask, args=(host, port, answer), name="resolver", daemon=True).start()
            except RuntimeError as error:
                raise UnreachableError(f"no thread was free to look {host} up in") from error
            self._running[host, port] = answer
            return answer

    def _ask(self, host: str, port: int, answer: "Future[Sequence[AddressInfo]]") -> None:
        failure, found = None, list[AddressInfo]()
        try:
            found = list(self._look_up(host, port, type=socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001  the waiting callers get the error
            failure = error
        with self._lock:
            del self._running[host, port]
            if failure is None:
                self._known[host, port] = found, self._clock()
        if failure is None:
            answer.set_result(found)
        else:
            answer.set_exception(failure)


def _passing(error: Exception) -> bool:
    """Return True when the name server failed, so that a later query can succeed; False for an unknown name."""
    lasting = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
    return isinstance(error, OSError) and error.errno not in lasting


def _open(address: AddressInfo, timeout_s: float) -> socket.socket:
    family, kind, protocol, _, where = address
    opened = socket.socket(family, kind, protocol)
    try:
        for option in _OPTIONS:
            with suppress(OSError):  # some sandboxes do not know all options
                opened.setsockopt(*option)
        opened.settimeout(timeout_s)
        opened.connect(where)
    except BaseException:
        opened.close()
        raise
    return opened


def _place(host: str, port: int, address: AddressInfo) -> str:
    numeric, place = address[4][0], f"{bracketed(host)}:{port}"
    return place if host == numeric else f"{place} at {numeric}"


def _why(error: OSError) -> str:
    """Return the reason in fixed words, because sagas with equal error texts are counted and shown together."""
    if isinstance(error, ConnectionRefusedError):
        return "refused the connection"
    if isinstance(error, TimeoutError):
        return "did not answer in time while connecting"
    return f"could not be reached ({error.strerror or error})"
