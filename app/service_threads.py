"""The service threads of a process, and the signal that ends the process.

A service thread runs as long as its process: event intake and relay, recovery, wake-ups, telemetry. It repeats its
work, and calls `progressed` after each turn. After an exception, the work starts again after a pause. `ServiceThreads`
reports which threads fail.
"""

import signal
import socket
import threading
import time
from collections.abc import Callable

import structlog

_log = structlog.get_logger("threads")
#: Pause before the work starts again after an error, in seconds. Each further error doubles it, up to the maximum.
BACK_OFF_S, MAX_BACK_OFF_S = 1.0, 30.0
#: A thread is reported as failing after this time of errors without a successful turn, in seconds.
FAILING_FOR_S = 10.0
#: A thread is reported as failing after this time without a finished turn, in seconds. A turn can wait for the database
#: for 30 s.
STALLED_AFTER_S = 90.0

#: Seconds between two calls of `ServiceThreads.report`.
REPORT_EVERY_S = 1.0
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

Work = Callable[[Callable[[], None]], None]


class ServiceThread:
    """One service thread.

    work: a function that runs until `stopping` is set, and calls its argument after each turn.
    stalls: False for work without turns, which only waits for one event.
    report: a function to call after each turn.
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
        """Note that a turn of the work has succeeded."""
        self._progressed_at = self._clock()
        self._failures = 0
        self._report()

    @property
    def failure(self) -> str | None:
        """Why the thread does not work; None while it works."""
        if self._thread.ident is None or self._stopping.is_set():
            return None  # the thread was not started, or its process ends
        if not self._thread.is_alive():
            return "it has ended"
        now = self._clock()
        if self._failures and now - self._failing_since > FAILING_FOR_S:
            return f"it keeps failing: {self._error}"
        if self._stalls and now - self._progressed_at > STALLED_AFTER_S:
            return f"it has made no progress for {now - self._progressed_at:.0f} s"
        return None

    def _keep_working(self) -> None:
        while not self._run():
            if self._stopping.is_set():
                self._run()  # a last turn, in which the work can release its resources
                return
            self._stopping.wait(min(BACK_OFF_S * 2 ** (self._failures - 1), MAX_BACK_OFF_S))

    def _run(self) -> bool:
        """Run the work. Return True when it has ended without an error."""
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
    """All service threads of a process. report: a function that one of the threads calls about once a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._threads: dict[str, ServiceThread] = {}
        self._next_report = 0.0
        self.report: Callable[[], None] = lambda: None

    def add(
        self, name: str, work: Work, stopping: threading.Event, *, stalls: bool = True, daemon: bool = False
    ) -> ServiceThread:
        """Return a new thread; the caller starts it. The arguments are those of `ServiceThread`."""
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
        """Which threads do not work, and why; None while all threads work."""
        failures = {name: thread.failure for name, thread in list(self._threads.items())}
        return "; ".join(f"the thread {name}: {failure}" for name, failure in failures.items() if failure) or None

    def _report_if_due(self) -> None:
        if self._clock() >= self._next_report:
            self._next_report = self._clock() + REPORT_EVERY_S
            self.report()


def on_stop_signal(stop: Callable[[], None], threads: ServiceThreads, stopping: threading.Event) -> None:
    """Call `stop` in a separate thread after SIGTERM or SIGINT. Call this function in the main thread.

    stopping: set when the process is to end.

    A signal handler does not work here: a server sets its own handlers after the import of the application, and its
    handler waits for the running requests, which wait for their sagas. The interpreter writes the number of each signal
    to a wake-up socket before any handler runs, so `stop` does not wait for the requests.
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
