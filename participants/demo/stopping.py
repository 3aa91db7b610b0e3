"""Ctrl-C and its like, taken only where the demo waits.

A signal that raised wherever it found the program could lose a process that was just being started.
"""

import signal
import threading

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoppedError(Exception):
    """Somebody asked the demo to stop."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number


class Patience:
    """Waits, unless and until somebody asks to stop."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._signal = 0
        for number in SIGNALS:
            # `nohup` ignores SIGHUP, and means it.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._ask)

    def wait(self, seconds: float) -> None:
        """Let the time pass. Raises StoppedError."""
        if self._asked.wait(seconds):
            raise StoppedError(self._signal)

    def _ask(self, number: int, _frame: object) -> None:
        self._signal = number
        self._asked.set()
