"""The threads that carry events out of this process and into it."""

import threading

from app.events.intake import Intake
from app.events.relay import Relay

#: Where nothing else is named, events stay within this process.
IN_MEMORY = "memory://"


class Post:
    """Carries events once started, until the process is told to end."""

    def __init__(self, url: str, relay: Relay, intake: Intake) -> None:
        # Not daemons: a process that ends lets them put down what they have in hand.
        self._threads = [threading.Thread(target=relay.run, name="relay")]
        if intake.asked_for:
            self._threads.append(threading.Thread(target=intake.run, args=(url,), name="intake"))
        self.relay, self.intake = relay, intake

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for the threads, which end by themselves once the process is stopping."""
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
