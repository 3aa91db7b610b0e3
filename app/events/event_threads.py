"""The threads that publish and receive the events of a process, and that send the messages about ends of sagas."""

import threading
from functools import partial

from app.events.deliverer import Deliverer
from app.events.intake import Intake
from app.events.relay import Relay
from app.service_threads import ServiceThreads

#: URL of the broker when BROKER_URL is not set: events then stay within this process.
IN_MEMORY = "memory://"


class EventThreads:
    """Publishes and receives events from `start` until the process ends. deliverer: None when there is no receiver."""

    def __init__(  # noqa: PLR0917
        self, url: str, relay: Relay, intake: Intake, deliverer: Deliverer | None, threads: ServiceThreads,
        stopping: threading.Event,
    ) -> None:  # fmt: skip
        # The threads are no daemons, so the process ends only after they have finished their batch.
        self._threads = [threads.add("relay", relay.run, stopping)]
        if intake.event_types:
            self._threads.append(threads.add("intake", partial(intake.run, url), stopping))
        if deliverer:
            self._threads.append(threads.add("webhooks", deliverer.run, stopping))
        self.relay, self.intake = relay, intake

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for the threads. They end by themselves when the process is stopping."""
        for thread in self._threads:
            thread.join()
