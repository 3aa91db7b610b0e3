"""The threads that publish and receive the events of a process, and that send its messages to webhooks."""

import threading
from functools import partial

from app.events.intake import Intake
from app.events.relay import Relay
from app.events.webhooks import WebhookSender
from app.service_threads import ServiceThreads

#: URL of the broker when BROKER_URL is not set: events then stay within this process.
IN_MEMORY = "memory://"


class EventThreads:
    """Publishes and receives events from `start` until the process ends. webhooks: None when there is no webhook."""

    def __init__(  # noqa: PLR0917
        self, url: str, relay: Relay, intake: Intake, webhooks: WebhookSender | None, threads: ServiceThreads,
        stopping: threading.Event,
    ) -> None:  # fmt: skip
        # The threads are no daemons, so the process ends only after they have finished their batch.
        self._threads = [threads.add("relay", relay.run, stopping)]
        if intake.event_types:
            self._threads.append(threads.add("intake", partial(intake.run, url), stopping))
        if webhooks:
            self._threads.append(threads.add("webhooks", webhooks.run, stopping))
        self.relay, self.intake, self.webhooks = relay, intake, webhooks

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for the threads. They end by themselves when the process is stopping."""
        for thread in self._threads:
            thread.join()
