"""Gauges that say what the tables of this process say: the order of the steps, the time limits, and the waits.

Their values never change while a process runs. Recording rules (deploy/prometheus/rules/tables.yml) merge them over all
processes, so a saga that is added is in every alert and dashboard, and nothing is generated for it.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from machines.facts import facts
from machines.saga import Saga

STEP, LIMIT, WAIT = "saga_table_step", "saga_table_dwell_limit_seconds", "saga_table_wait"


class TableGauges:
    """The gauges of the given definitions, made once."""

    def __init__(self, definitions: Iterable[Saga]) -> None:
        known = facts(definitions)
        self._families = [
            _family(
                STEP,
                "Step of a saga; `place` has its number: always 1",
                ("saga", "step", "place"),
                [((fact.saga, fact.step, fact.place), 1) for fact in known.steps],
            ),
            _family(
                LIMIT,
                "How long a saga may stay in the state, in seconds",
                ("saga", "state", "step", "participant", "phase"),
                [
                    ((fact.saga, fact.state, fact.step, fact.participant, fact.phase.value), fact.dwell_s)
                    for fact in known.states
                ],
            ),
            _family(
                WAIT,
                "What a saga waits for in the state: always 1",
                ("saga", "state", "waits_for"),
                [((fact.saga, fact.state, fact.waits_for), 1) for fact in known.waits],
            ),
        ]

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def _family(
    name: str, text: str, labels: tuple[str, ...], samples: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
