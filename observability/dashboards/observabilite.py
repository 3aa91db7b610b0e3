"""000's dashboard: its six panels, and where sagas are now."""

from collections.abc import Iterator

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from observability import shared
from observability.facts import Facts
from observability.panels import lines
from observability.promql import INSTANCE, per_minute
from observability.step_distribution import standing_now, step_distribution

UID, TITLE = "observabilite-sagas", "Observabilité des Sagas - LOG430 Lab6"


def panels(known: Facts) -> Iterator[Builder[Panel]]:
    yield shared.start_rate().span(9).height(6)
    yield shared.started("Total").span(3).height(6)
    yield shared.stuck_now().span(3).height(6)
    yield shared.durations().span(9).height(6)
    yield step_distribution(known)
    yield standing_now(known).span(12)
    by_step = per_minute("saga_etapes_total", INSTANCE, "etape", "statut")
    says = "Of all sagas together, by the names of 000."
    yield lines("Step outcomes a minute", {"{{etape}} {{statut}}": by_step}, unit="opm", says=says).span(12).height(9)
    yield shared.compensations().span(12)
    yield shared.by_status().span(12)
