"""Which service threads of a process do their work."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Gauge


class Threads:
    """Of several processes that are served as one, the worst is shown."""

    def __init__(self, registry: CollectorRegistry, alive: Callable[[], Mapping[str, bool]]) -> None:
        self._alive = alive
        self._gauge = Gauge(
            "saga_thread_alive",
            "A service thread: 1 it makes progress, 0 it has ended, fails again and again, or hangs",
            ["thread"],
            registry=registry,
            multiprocess_mode="livemin",
        )
        self.look()

    def look(self) -> None:
        """Note how they are now."""
        for thread, alive in self._alive().items():
            self._gauge.labels(thread).set(alive)
