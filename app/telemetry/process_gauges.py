"""Gauges of one process: its circuit breakers, and its service threads."""

from collections.abc import Callable, Mapping
from typing import Literal

from prometheus_client import CollectorRegistry, Gauge


class ProcessGauge:
    """A gauge with one label. Where several processes serve one address, /metrics shows the worst value of them."""

    def __init__(
        self, registry: CollectorRegistry, name: str, text: str, *, label: str,
        worst: Literal["livemax", "livemin"], read: Callable[[], Mapping[str, int]],
    ) -> None:  # fmt: skip
        self._read = read
        self._gauge = Gauge(name, text, [label], registry=registry, multiprocess_mode=worst)
        self.update()

    def update(self) -> None:
        """Set the gauge: before each scrape, and for the other processes of a server also when a value changes."""
        for value, number in self._read().items():
            self._gauge.labels(value).set(number)


def breaker_gauge(registry: CollectorRegistry, states: Callable[[], Mapping[str, int]]) -> ProcessGauge:
    """Return the gauge of the circuit breakers. Each process has its own; it is updated at each heartbeat."""
    text = "Circuit breaker of a participant: 0 closed, 1 half open, 2 open (no calls are sent)"
    return ProcessGauge(registry, "saga_breaker_state", text, label="participant", worst="livemax", read=states)


def thread_gauge(registry: CollectorRegistry, alive: Callable[[], Mapping[str, bool]]) -> ProcessGauge:
    """Return the gauge of the service threads."""
    text = "Service thread: 1 works, 0 has ended, keeps failing, or makes no progress"
    return ProcessGauge(registry, "saga_thread_alive", text, label="thread", worst="livemin", read=alive)
