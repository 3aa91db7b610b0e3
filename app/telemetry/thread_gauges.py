"""The state of each service thread, as a gauge."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Gauge


class ThreadGauges:
    """The gauge. When several processes serve one address, /metrics shows the worst of them."""

    def __init__(self, registry: CollectorRegistry, alive: Callable[[], Mapping[str, bool]]) -> None:
        self._alive = alive
        self._gauge = Gauge(
            "saga_thread_alive",
            "Service thread: 1 works, 0 has ended, keeps failing, or makes no progress",
            ["thread"],
            registry=registry,
            multiprocess_mode="livemin",
        )
        self.update()

    def update(self) -> None:
        """Set the gauge."""
        for thread, alive in self._alive().items():
            self._gauge.labels(thread).set(alive)
