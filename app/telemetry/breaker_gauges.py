"""The state of each participant's breaker."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Gauge


class Breakers:
    """Each process has breakers of its own; of several processes the worst is shown, as long as they live."""

    def __init__(self, registry: CollectorRegistry, states: Callable[[], Mapping[str, int]]) -> None:
        self._states = states
        self._gauge = Gauge(
            "saga_breaker_state",
            "A participant's breaker: 0 closed, 1 half open, 2 open",
            ["participant"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.look()

    def look(self) -> None:
        """Note what they are now: once in a while for other processes, and whenever somebody asks this one."""
        for participant, state in self._states().items():
            self._gauge.labels(participant).set(state)
