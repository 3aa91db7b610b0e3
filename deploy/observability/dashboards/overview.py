"""002's overview: how many sagas there are, how they end, and how far they get."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.observability import shared
from deploy.observability.facts import Facts
from deploy.observability.links import NOT_COMPLETED
from deploy.observability.panels import GREEN, ORANGE, PER_MINUTE, bars, lines, number, with_list, with_row_list
from deploy.observability.promql import SAGA, TYPE, busiest, count
from deploy.observability.step_distribution import standing_now, step_distribution

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
        "Sagas by type", f"sort_desc(round({begun}))", "{{saga}}", unit="short", says="Started in the range shown."
    )
    yield with_row_list(panel, "${__field.labels.saga}")
    yield shared.durations()
    yield shared.slowest_steps()
    yield standing_now(known).height(8)
    step_rate = busiest("saga_steps_total", SAGA, "type", "status")
    says = "Outcomes of steps a minute. A step's type is its name, as 002 writes it; the ten most frequent."
    yield lines("Step rate by type and status", {"{{type}} {{status}}": step_rate}, unit=PER_MINUTE, says=says)
    yield shared.failure_rate()


def _number(title: str, expr: str, says: str) -> Stat:
    steps = {0.0: GREEN, 1.0: ORANGE}
    return number(title, f"round({expr})", unit="short", says=f"{says} In the range shown.", steps=steps)
