"""Clients that misbehave: one that sends slowly, and one that hangs up before the reply."""

import socket
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from itertools import pairwise
from typing import Any

from app.dialing import Dialer

_LAST_BYTES = 8  # they are sent one by one
#: Time between two parts of a request of a slow client, in seconds.
_PAUSE_S = 0.02
_LARGEST_READ = 1 << 20
#: How long a client that hangs up waits after its request, in seconds, so that the request arrives.
_HANG_UP_AFTER_S = 0.02


class _PassingDialer(Dialer, ABC):
    """Returns one end of a pair of sockets. Threads pass the bytes on, in the manner of the subclass, also with TLS."""

    def connect(self, host: str, port: int, deadline: float) -> socket.socket:
        far = super().connect(host, port, deadline)
        far.settimeout(None)
        near, inner = socket.socketpair()
        for pass_on in (self._up, self._down):
            threading.Thread(target=self._passing, args=(pass_on, inner, far), daemon=True).start()
        return near

    def _passing(self, pass_on: Any, inner: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            pass_on(inner, far)
        for each in (inner, far):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    @abstractmethod
    def _up(self, inner: socket.socket, far: socket.socket) -> None:
        """Pass on the bytes of the requests."""

    def _down(self, inner: socket.socket, far: socket.socket) -> None:
        while data := far.recv(_LARGEST_READ):
            inner.sendall(data)


class SlowDialer(_PassingDialer):
    """Sends the last bytes of each request one by one, and the very last one when `go_on` is set."""

    go_on: threading.Event
    #: Set when all bytes have been sent except the last.
    waits: threading.Event

    def _up(self, inner: socket.socket, far: socket.socket) -> None:
        while data := inner.recv(_LARGEST_READ):
            last = len(data) - 1
            for start, end in pairwise([0, last // 2, *range(max(last - _LAST_BYTES, last // 2), last + 1)]):
                far.sendall(data[start:end])
                time.sleep(_PAUSE_S)
            self.waits.set()
            self.go_on.wait()
            far.sendall(data[last:])


class HangUpDialer(_PassingDialer):
    """Ends the connection when the request has been sent. Only for HTTP without TLS, which needs a handshake first."""

    def _up(self, inner: socket.socket, far: socket.socket) -> None:
        far.sendall(inner.recv(_LARGEST_READ))
        time.sleep(_HANG_UP_AFTER_S)
