"""000's dashboard: its six panels, and where sagas are now."""

from collections.abc import Iterator

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from observability import shared
from observability.facts import Facts
from observability.panels import PER_MINUTE, lines, wide
from observability.promql import INSTANCE, busiest
from observability.step_distribution import standing_now, step_distribution

UID, TITLE = "observabilite-sagas", "Observabilité des Sagas - LOG430 Lab6"


def panels(known: Facts) -> Iterator[Builder[Panel]]:
    yield wide(shared.start_rate(), 9).height(6)
    yield shared.started("Total").span(3).height(6)
    yield shared.stuck_now().span(3).height(6)
    yield wide(shared.durations(), 9).height(6)
    yield step_distribution(known)
    yield standing_now(known).span(12)
    by_step = busiest("saga_etapes_total", INSTANCE, "etape", "statut")
    says = "By the names of 000, whose metrics count its own saga alone; the ten most frequent."
    outcomes = lines("Step outcomes a minute: commande", {"{{etape}} {{statut}}": by_step}, unit=PER_MINUTE, says=says)
    yield wide(outcomes).height(9)
    yield wide(shared.compensations())
    yield wide(shared.by_status())
