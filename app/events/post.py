"""The threads that carry events out of this process and into it."""

import threading
from functools import partial

from app.events.intake import Intake
from app.events.relay import Relay
from app.supervision import ServiceThreads

#: Where nothing else is named, events stay within this process.
IN_MEMORY = "memory://"


class Post:
    """Carries events once started, until the process is told to end."""

    def __init__(
        self, url: str, relay: Relay, intake: Intake, threads: ServiceThreads, stopping: threading.Event
    ) -> None:
        # Not daemons: a process that ends lets them put down what they have in hand.
        self._threads = [threads.add("relay", relay.run, stopping)]
        if intake.asked_for:
            self._threads.append(threads.add("intake", partial(intake.run, url), stopping))
        self.relay, self.intake = relay, intake

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for the threads, which end by themselves once the process is stopping."""
        for thread in self._threads:
            thread.join()
