"""Counters that are computed from the transition counter, at each scrape.

So a move increments only one counter, and the other counters always agree with it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily

from app.telemetry.counted_transition import LABELS, CountedTransition

#: Name of the transition counter.
TRANSITIONS = "saga_transitions"


@dataclass(frozen=True, kw_only=True)
class DerivedCounter:
    """A counter that sums up some of the transitions."""

    name: str
    help: str
    labels: tuple[str, ...]
    #: Returns the values of the labels for a transition; None for a transition that is not counted.
    values: Callable[[CountedTransition], tuple[str, ...] | None]


def _step(move: CountedTransition) -> tuple[str, ...] | None:
    status = "completed" if move.succeeds else "compensated" if move.compensates else "failed" if move.fails else None
    return (move.saga, move.step.lower(), move.step, status) if status else None


DERIVED = (
    # The label `type` holds the step in lower case, because a reference API requires it (ADR 32).
    DerivedCounter(
        name="saga_steps", help="Outcomes of steps", labels=("saga", "type", "step", "status"), values=_step
    ),
    DerivedCounter(
        name="saga_failures",
        help="Sagas that could not go forward, by the state that they entered",
        labels=("type", "step", "state"),
        values=lambda move: (move.saga, move.step, move.dest.name) if move.fails else None,
    ),
    DerivedCounter(
        name="saga_compensations",
        help="Compensated steps",
        labels=("type", "step"),
        values=lambda move: (move.saga, move.step) if move.compensates else None,
    ),
    DerivedCounter(
        name="saga_retries",
        help="Calls sent again because their outcome was unknown",
        labels=("saga", "step", "direction"),
        values=lambda move: (move.saga, move.step, move.dest.direction) if move.retries else None,
    ),
    DerivedCounter(
        name="saga_stuck",
        help="Sagas that got stuck and need a person",
        labels=("saga", "state"),
        values=lambda move: (move.saga, move.dest.name) if move.sticks else None,
    ),
    DerivedCounter(
        name="saga_states",
        help="States entered",
        labels=("saga", "state"),
        values=lambda move: (move.saga, move.dest.name) if move.source is not move.dest else None,
    ),
)


def derive(metric: Metric, transitions: Mapping[tuple[str, ...], CountedTransition]) -> Iterator[Metric]:
    """Compute all derived counters. metric: the transition counter. transitions: by the values of their labels."""
    found = (
        (transitions.get(tuple(sample.labels[label] for label in LABELS)), sample.value) for sample in metric.samples
    )
    counts = [(transition, count) for transition, count in found if transition]
    for counter in DERIVED:
        yield _summed(counter, counts)


def _summed(counter: DerivedCounter, counts: Iterable[tuple[CountedTransition, float]]) -> Metric:
    sums: dict[tuple[str, ...], float] = {}
    for transition, count in counts:
        if values := counter.values(transition):
            sums[values] = sums.get(values, 0.0) + count
    family = CounterMetricFamily(counter.name, counter.help, labels=counter.labels)
    for values, total in sums.items():
        family.add_metric(values, total)
    return family
