"""The state of each participant's circuit breaker, as a gauge."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Gauge


class BreakerGauges:
    """The gauge. Each process has its own circuit breakers; /metrics shows the worst of all live processes."""

    def __init__(self, registry: CollectorRegistry, states: Callable[[], Mapping[str, int]]) -> None:
        self._states = states
        self._gauge = Gauge(
            "saga_breaker_state",
            "Circuit breaker of a participant: 0 closed, 1 half open, 2 open (no calls are sent)",
            ["participant"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.update()

    def update(self) -> None:
        """Set the gauge: at each heartbeat for the other processes of a server, and before each scrape."""
        for participant, state in self._states().items():
            self._gauge.labels(participant).set(state)
