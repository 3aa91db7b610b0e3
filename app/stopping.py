"""Detects the signal to end the process, in any server, whichever signal handlers the server sets."""

import signal
import socket
import threading
from collections.abc import Callable

from app.service_threads import ServiceThreads

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def on_stop_signal(stop: Callable[[], None], threads: ServiceThreads, stopping: threading.Event) -> None:
    """Call `stop` in a separate thread after SIGTERM or SIGINT. Call this function in the main thread.

    stopping: set once the process is to end.

    A server sets its own handlers after it has imported the application, and then waits for the running requests. The
    interpreter writes the number of each signal to the wake-up socket before any handler runs, so the sagas end at the
    same time as the requests that wait for them.
    """
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)

    def watch(_progressed: Callable[[], None]) -> None:
        with receiver, sender:
            while received := receiver.recv(1):
                if received[0] in _STOP_SIGNALS:
                    return stop()
        return None

    threads.add("stopping", watch, stopping, stalls=False, daemon=True).start()
