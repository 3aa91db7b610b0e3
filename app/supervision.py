"""The service threads of a process: each goes on after any error, and the process knows which of them does no work.

A service thread runs for as long as the process: event intake and relay, recovery, wake-ups, telemetry. Its work
calls `progressed` after each turn. An exception is logged, and the work starts again after a pause.
"""

import threading
import time
from collections.abc import Callable

import structlog

_log = structlog.get_logger("threads")
#: Pause in seconds before the work starts again: doubled with each failure in a row, up to the second value.
BACK_OFF_S, LONGEST_BACK_OFF_S = 1.0, 30.0
#: A thread whose work has failed for this many seconds, without one turn that succeeded, counts as dead.
FAILING_FOR_S = 10.0
#: A thread that has finished no turn for this many seconds counts as dead. A turn may wait 30 s for the database.
STALLED_AFTER_S = 90.0

#: How often the threads' states are noted for the other processes of a server.
REPORT_EVERY_S = 1.0

Work = Callable[[Callable[[], None]], None]


class ServiceThread:
    """One service thread.

    work: runs until `stopping` is set, and calls its argument after each turn.
    stalls: False for work that has no turns, because it only waits for one thing. report: called after each turn.
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
    def trouble(self) -> str | None:
        """Return why the thread does no work, or None."""
        if self._thread.ident is None or self._stopping.is_set():
            return None  # not started, or its end is what is wanted
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
                self._run()  # what the work does last: to hand back, to close
                return
            self._stopping.wait(min(BACK_OFF_S * 2 ** (self._failures - 1), LONGEST_BACK_OFF_S))

    def _run(self) -> bool:
        """Return True when the work has ended by itself."""
        try:
            self._work(self.progressed)
        except Exception as error:  # noqa: BLE001  whatever it is, the thread goes on
            if not self._failures:
                self._failing_since = self._clock()
            self._failures += 1
            self._error = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
            _log.exception("thread.failed", thread=self.name)
            return False
        return True


class ServiceThreads:
    """All service threads of a process. report: called about once a second by whichever of them makes progress."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._threads: dict[str, ServiceThread] = {}
        self._next_report = 0.0
        self.report: Callable[[], None] = lambda: None

    def add(
        self, name: str, work: Work, stopping: threading.Event, *, stalls: bool = True, daemon: bool = False
    ) -> ServiceThread:
        """Make a thread that is still to be started."""
        made = ServiceThread(
            name, work, stopping, stalls=stalls, daemon=daemon, clock=self._clock, report=self._report_at_times
        )
        self._threads[name] = made
        return made

    @property
    def alive(self) -> dict[str, bool]:
        """By the name of each thread: does it work?"""
        return {name: thread.trouble is None for name, thread in list(self._threads.items())}

    @property
    def trouble(self) -> str | None:
        """Return which threads do no work, and why; None: all are well."""
        told = {name: thread.trouble for name, thread in list(self._threads.items())}
        return "; ".join(f"the thread {name}: {trouble}" for name, trouble in told.items() if trouble) or None

    def _report_at_times(self) -> None:
        if self._clock() >= self._next_report:
            self._next_report = self._clock() + REPORT_EVERY_S
            self.report()
