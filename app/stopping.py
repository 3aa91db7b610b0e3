"""Noticing that the process is told to end, whichever server it runs in and whatever handler that has set."""

import signal
import socket
import threading
from collections.abc import Callable

from app.supervision import ServiceThreads

_ENDS = (signal.SIGTERM, signal.SIGINT)


def on_end(stop: Callable[[], None], threads: ServiceThreads, stopping: threading.Event) -> None:
    """Call `stop` in a thread of its own when SIGTERM or SIGINT comes. To be called in the main thread.

    stopping: set once the process is to end.

    A server sets its own handlers once it has imported the application, and then waits for the requests in hand;
    the interpreter writes the number of each signal here before any handler runs, so the sagas end side by side with
    the requests that wait for them.
    """
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)

    def watch(_progressed: Callable[[], None]) -> None:
        with receiver, sender:
            while received := receiver.recv(1):
                if received[0] in _ENDS:
                    return stop()
        return None

    threads.add("stopping", watch, stopping, stalls=False, daemon=True).start()
