"""The service threads of a process, and the signal that ends the process.

A thread continues after any error, and the process knows which threads fail.
A service thread runs as long as the process: event intake and relay, recovery, wake-ups, telemetry. Its work calls
`progressed` after each turn. An exception is logged, and the work starts again after a pause.
"""

import signal
import socket
import threading
import time
from collections.abc import Callable

import structlog

_log = structlog.get_logger("threads")
#: Pause before the work starts again after an error, in seconds; doubled with each further error, up to the maximum.
BACK_OFF_S, MAX_BACK_OFF_S = 1.0, 30.0
#: Seconds of failures without a successful turn after which a thread counts as dead.
FAILING_FOR_S = 10.0
#: Seconds without a finished turn after which a thread counts as dead. A turn may wait 30 s for the database.
STALLED_AFTER_S = 90.0

#: Seconds between two reports of the threads' states to the other processes of a server.
REPORT_EVERY_S = 1.0
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

Work = Callable[[Callable[[], None]], None]


class ServiceThread:
    """One service thread.

    work: runs until `stopping` is set, and calls its argument after each turn.
    stalls: False for work without turns, which waits for a single event.
    report: called after each turn.
    """

    def __init__(
        self,
        name: str,
        work: Work,
        stopping: threading.Event,
        *,
        stalls: bool = True,
        daemon: bool = False,
        clock: Callable[[], float] = time.monotonic,
        report: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._work, self._stopping, self._stalls, self._clock = work, stopping, stalls, clock
        self._report = report
        self._progressed_at, self._failing_since = clock(), 0.0
        self._failures = 0
        self._error = ""
        self._thread = threading.Thread(target=self._keep_working, name=name, daemon=daemon)

    def start(self) -> None:
        self._progressed_at = self._clock()
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of the thread, if it was started."""
        if self._thread.is_alive():
            self._thread.join()

    def progressed(self) -> None:
        """Record that a turn of the work has succeeded."""
        self._progressed_at = self._clock()
        self._failures = 0
        self._report()

    @property
    def failure(self) -> str | None:
        """Why the thread does not work; None while it works."""
        if self._thread.ident is None or self._stopping.is_set():
            return None  # not started, or about to end as intended
        if not self._thread.is_alive():
            return "it has ended"
        now = self._clock()
        if self._failures and now - self._failing_since > FAILING_FOR_S:
            return f"it fails again and again: {self._error}"
        if self._stalls and now - self._progressed_at > STALLED_AFTER_S:
            return f"it has made no progress for {now - self._progressed_at:.0f} s"
        return None

    def _keep_working(self) -> None:
        while not self._run():
            if self._stopping.is_set():
                self._run()  # the last turn of the work, to release and close
                return
            self._stopping.wait(min(BACK_OFF_S * 2 ** (self._failures - 1), MAX_BACK_OFF_S))

    def _run(self) -> bool:
        """Run the work. Return True when it has ended by itself."""
        try:
            self._work(self.progressed)
        except Exception as error:  # noqa: BLE001  the thread continues after any error
            if not self._failures:
                self._failing_since = self._clock()
            self._failures += 1
            self._error = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
            _log.exception("thread.failed", thread=self.name)
            return False
        return True


class ServiceThreads:
    """All service threads of a process. `report` is called about once a second by a thread that makes progress."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._threads: dict[str, ServiceThread] = {}
        self._next_report = 0.0
        self.report: Callable[[], None] = lambda: None

    def add(
        self, name: str, work: Work, stopping: threading.Event, *, stalls: bool = True, daemon: bool = False
    ) -> ServiceThread:
        """Return a new thread, which the caller starts."""
        thread = ServiceThread(
            name, work, stopping, stalls=stalls, daemon=daemon, clock=self._clock, report=self._report_if_due
        )
        self._threads[name] = thread
        return thread

    @property
    def alive(self) -> dict[str, bool]:
        """Name → True when the thread works."""
        return {name: thread.failure is None for name, thread in list(self._threads.items())}

    @property
    def failure(self) -> str | None:
        """Which threads do not work, and why; None while all work."""
        failures = {name: thread.failure for name, thread in list(self._threads.items())}
        return "; ".join(f"the thread {name}: {failure}" for name, failure in failures.items() if failure) or None

    def _report_if_due(self) -> None:
        if self._clock() >= self._next_report:
            self._next_report = self._clock() + REPORT_EVERY_S
            self.report()


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
