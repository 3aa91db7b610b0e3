"""Gauges of one process: its release, its circuit breakers, and its service threads."""

from collections.abc import Callable, Mapping
from typing import Literal

from prometheus_client import CollectorRegistry, Gauge

from app.version import VERSION


class ProcessGauge:
    """A gauge with one label. When one server has several processes, /metrics shows the worst of their values."""

    def __init__(
        self, registry: CollectorRegistry, name: str, text: str, *, label: str,
        worst: Literal["livemax", "livemin"], read: Callable[[], Mapping[str, int]],
    ) -> None:  # fmt: skip
        self._read = read
        self._gauge = Gauge(name, text, [label], registry=registry, multiprocess_mode=worst)
        self.update()

    def update(self) -> None:
        """Set the gauge to the current values. Call this before each scrape, and when a value changes.

        Another process of the server may answer the scrape, so the value is also set when it changes.
        """
        for value, number in self._read().items():
            self._gauge.labels(value).set(number)


def build_info(registry: CollectorRegistry) -> ProcessGauge:
    """Return the gauge whose label is the release of this process, for queries such as `count by (version)`."""
    text = "Release of the process, in the label: always 1"
    return ProcessGauge(
        registry, "saga_build_info", text, label="version", worst="livemax", read=lambda: {VERSION: 1}
    )  # fmt: skip


def breaker_gauge(registry: CollectorRegistry, states: Callable[[], Mapping[str, int]]) -> ProcessGauge:
    """Return the gauge of this process's circuit breakers. It is also updated at each heartbeat."""
    text = "Circuit breaker of a participant: 0 closed, 1 half open, 2 open (no calls are sent)"
    return ProcessGauge(registry, "saga_breaker_state", text, label="participant", worst="livemax", read=states)


def broker_gauge(registry: CollectorRegistry, reachable: Callable[[], Mapping[str, int]]) -> ProcessGauge:
    """Return the gauge that says whether this process reaches the broker. It is also updated at each heartbeat."""
    text = "Broker of BROKER_URL, by its protocol: 1 this process reaches it, 0 it does not"
    return ProcessGauge(registry, "saga_broker_up", text, label="broker", worst="livemin", read=reachable)


def thread_gauge(registry: CollectorRegistry, alive: Callable[[], Mapping[str, bool]]) -> ProcessGauge:
    """Return the gauge of this process's service threads."""
    text = "Service thread: 1 works, 0 has ended, keeps failing, or makes no progress"
    return ProcessGauge(registry, "saga_thread_alive", text, label="thread", worst="livemin", read=alive)
