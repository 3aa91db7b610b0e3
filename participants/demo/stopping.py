"""Signals such as Ctrl-C. They only take effect where the demo waits.

A signal that raised an exception anywhere could lose a process that was just being started.
"""

import signal
import threading

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoppedError(Exception):
    """A signal requested the demo to stop."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number


class StoppableClock:
    """A clock whose sleep a signal ends."""

    def __init__(self) -> None:
        self._stop_requested = threading.Event()
        self._signal = 0
        for number in SIGNALS:
            # Under `nohup` SIGHUP is ignored and stays ignored.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._request_stop)

    def sleep(self, seconds: float) -> None:
        """Sleep for this many seconds. Raise StoppedError after a signal."""
        if self._stop_requested.wait(seconds):
            raise StoppedError(self._signal)

    def _request_stop(self, number: int, _frame: object) -> None:
        self._signal = number
        self._stop_requested.set()
