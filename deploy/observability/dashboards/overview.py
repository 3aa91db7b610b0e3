"""The dashboard Saga Overview: the number of sagas, their outcomes, and how far they get."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.observability import shared
from deploy.observability.links import NOT_COMPLETED
from deploy.observability.panels import GREEN, ORANGE, PER_MINUTE, bars, lines, number, with_list, with_row_list
from deploy.observability.promql import SAGA, TYPE, busiest, count
from deploy.observability.step_distribution import standing_now, step_distribution
from machines.facts import Facts

UID, TITLE = "saga-overview", "Saga Overview"


def panels(known: Facts) -> Iterator[Builder[Panel]]:
    yield shared.active_now("Active sagas")
    yield shared.stuck_now()
    yield shared.success_rate()
    failures = _number("Failures", count("saga_failures_total", TYPE), "Sagas that could not go forward.")
    yield with_list(failures, status=NOT_COMPLETED)
    undone = _number("Compensations", count("saga_compensations_total", TYPE), "Steps that were undone.")
    yield with_list(undone, status="compensating,compensated")
    yield shared.started("Started")
    yield step_distribution(known)
    begun = count("saga_total", f'{SAGA},status="started"', "saga")
    panel = bars(
        "Sagas by type",
        f"sort_desc(round({begun}))",
        "{{saga}}",
        unit="short",
        text="Started in the shown range.",
    )
    yield with_row_list(panel, "${__field.labels.saga}")
    yield shared.durations()
    yield shared.slowest_steps()
    yield standing_now(known).height(8)
    step_rate = busiest("saga_steps_total", SAGA, "type", "status")
    text = "Step outcomes per minute; the type is the step's name. The ten most frequent."
    yield lines("Step rate by type and status", {"{{type}} {{status}}": step_rate}, unit=PER_MINUTE, text=text)
    yield shared.failure_rate()
    yield shared.waiting_now().span(24).height(6)


def _number(title: str, expr: str, text: str) -> Stat:
    steps = {0.0: GREEN, 1.0: ORANGE}
    return number(title, f"round({expr})", unit="short", text=f"{text} In the shown range.", steps=steps)
