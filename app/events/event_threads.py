"""The threads that publish and receive the events of a process."""

import threading
from functools import partial

from app.events.intake import Intake
from app.events.relay import Relay
from app.service_threads import ServiceThreads

#: Broker when none is set: events stay within the process.
IN_MEMORY = "memory://"


class EventThreads:
    """Publish and receive events, once started, until the process ends."""

    def __init__(
        self, url: str, relay: Relay, intake: Intake, threads: ServiceThreads, stopping: threading.Event
    ) -> None:
        # Not daemons: at the end of the process they finish their batch first.
        self._threads = [threads.add("relay", relay.run, stopping)]
        if intake.event_types:
            self._threads.append(threads.add("intake", partial(intake.run, url), stopping))
        self.relay, self.intake = relay, intake

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for the threads. They end by themselves when the process is stopping."""
        for thread in self._threads:
            thread.join()
