"""What is counted and logged, always after the commit it describes and never with a saga's id in a label."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.participants.outcome import Outcome, Reply
from app.store.instance import Instance, Move
from machines.call import Call
from machines.rows import Phase, Trigger

_LEVELS = {
    Trigger.REFUSED: "error",
    Trigger.EXHAUSTED: "error",
    Trigger.EXPIRE: "error",
    Trigger.QUARANTINE: "error",
    Trigger.RETRY: "warning",
    Trigger.DEFER: "warning",
}


class Telemetry:
    """Counters over the rows of every table, and one log line a move."""

    def __init__(self, registry: CollectorRegistry, breakers: Callable[[], Mapping[str, int]] = dict) -> None:
        self._log = structlog.get_logger("saga")
        self._transitions = Counter(
            "saga_transitions", "Moves made", ["saga", "source", "trigger", "dest"], registry=registry
        )
        self._states = Counter("commande_etat", "Orders that entered a state", ["etat"], registry=registry)
        self._calls = Histogram(
            "saga_participant_call_seconds", "Calls", ["participant", "step", "outcome"], registry=registry
        )
        self._fenced = Counter("saga_fenced_writes", "Writes refused to an owner of the past", registry=registry)
        registry.register(_Breakers(breakers))

    def called(self, saga: Instance, call: Call, reply: Reply, outcome: Outcome) -> None:
        step = saga.at.step
        if step is not None:
            self._calls.labels(call.participant, step.name, outcome).observe(reply.duration_ms / 1000)

    def committed(self, saga: Instance, moves: Sequence[Move]) -> None:
        """Count and log each move of a commit that has been made."""
        name = saga.definition.name
        for move in moves:
            self._transitions.labels(name, move.source or "", move.trigger, move.dest).inc()
            if move.source != move.dest:
                self._states.labels(move.dest).inc()
            undoing = saga.definition.rows.states[move.dest].phase is Phase.UNDOING
            level = "warning" if undoing else _LEVELS.get(Trigger(move.trigger), "info") if move.source else "info"
            getattr(self._log, level)(
                "saga.moved",
                saga_id=str(saga.id),
                saga=name,
                source=move.source,
                trigger=move.trigger,
                dest=move.dest,
                step=move.step,
                attempt=move.attempt,
                reason=move.reason,
                duration_ms=move.duration_ms,
            )

    def fenced(self, saga: Instance) -> None:
        self._fenced.inc()
        self._log.warning("saga.fenced", saga_id=str(saga.id), saga=saga.definition.name, epoch=saga.epoch)


class _Breakers(Collector):
    """The state of each participant's breaker at the moment of the scrape."""

    def __init__(self, states: Callable[[], Mapping[str, int]]) -> None:
        self._states = states

    def collect(self) -> Iterator[GaugeMetricFamily]:
        says = "A participant's breaker: 0 closed, 1 half open, 2 open"
        family = GaugeMetricFamily("saga_breaker_state", says, labels=["participant"])
        for participant, state in self._states().items():
            family.add_metric([participant], state)
        yield family
