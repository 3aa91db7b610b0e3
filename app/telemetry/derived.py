"""Counters that follow from how often a saga went along each row of its table.

They are added up when somebody looks, so they cost nothing when it happens and can never disagree with the moves.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily

from app.telemetry.counted_transition import LABELS, Row

#: The counter that all of these follow from.
MOVES = "saga_transitions"


@dataclass(frozen=True, kw_only=True)
class Derived:
    """of: the values of the labels for a row that it counts, None for any other."""

    name: str
    says: str
    labels: tuple[str, ...]
    of: Callable[[Row], tuple[str, ...] | None]


def _step(row: Row) -> tuple[str, ...] | None:
    status = "completed" if row.does else "compensated" if row.undoes else "failed" if row.fails else None
    return (row.saga, row.step.lower(), row.step, status) if status else None


DERIVED = (
    # 002 writes the step as `type`, in small letters; ADR 32 says why there is one series and not two.
    Derived(name="saga_steps", says="Outcomes of steps", labels=("saga", "type", "step", "status"), of=_step),
    Derived(
        name="saga_failures",
        says="Sagas that could not go forward, by the state that says so",
        labels=("type", "step", "state"),
        of=lambda row: (row.saga, row.step, row.dest.name) if row.fails else None,
    ),
    Derived(
        name="saga_compensations",
        says="Steps undone",
        labels=("type", "step"),
        of=lambda row: (row.saga, row.step) if row.undoes else None,
    ),
    Derived(
        name="saga_retries",
        says="Calls sent again, their outcome being unknown",
        labels=("saga", "step", "direction"),
        of=lambda row: (row.saga, row.step, row.dest.direction) if row.again else None,
    ),
    Derived(
        name="saga_stuck",
        says="Sagas that came to need a person",
        labels=("saga", "state"),
        of=lambda row: (row.saga, row.dest.name) if row.sticks else None,
    ),
    Derived(
        name="saga_states",
        says="States entered",
        labels=("saga", "state"),
        of=lambda row: (row.saga, row.dest.name) if row.source is not row.dest else None,
    ),
)


def derived(moves: Metric, rows: Mapping[tuple[str, ...], Row]) -> Iterator[Metric]:
    """Derive all of them. rows: by the values of the labels of MOVES."""
    found = ((rows.get(tuple(sample.labels[label] for label in LABELS)), sample.value) for sample in moves.samples)
    made = [(row, times) for row, times in found if row]
    for one in DERIVED:
        yield _added_up(one, made)


def _added_up(one: Derived, made: Iterable[tuple[Row, float]]) -> Metric:
    times: dict[tuple[str, ...], float] = {}
    for row, value in made:
        if labels := one.of(row):
            times[labels] = times.get(labels, 0.0) + value
    family = CounterMetricFamily(one.name, one.says, labels=one.labels)
    for labels, value in times.items():
        family.add_metric(labels, value)
    return family
