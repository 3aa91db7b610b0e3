"""The dashboard of 000 and 001: the panels that both name, and where sagas are now."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.bargauge import Panel as BarGauge
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.observability import shared
from deploy.observability.facts import Facts
from deploy.observability.panels import BLUE, PER_MINUTE, bars, lines, wide
from deploy.observability.promql import INSTANCE, busiest, count, per_minute
from deploy.observability.step_distribution import standing_now, step_distribution
from machines.checkout import CHECKOUT

UID, TITLE = "observabilite-sagas", "Observabilité des Sagas - LOG430 Lab6"

#: 001's own metric: how often a checkout came to each state.
_STATES = "commande_etat_total"


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
    yield _checkouts_by_state()
    yield _checkout_failures(known)
    yield _checkout_transitions()


def _checkouts_by_state() -> BarGauge:
    """Draw one bar for each state of EtatCommande that a checkout has reached."""
    reached = f"sort_desc(round({count(_STATES, INSTANCE, 'etat')}) > 0)"
    says = "How many checkouts came to each state in the range shown."
    return bars("Checkouts by state", reached, "{{etat}}", unit="short", says=says, steps={0: BLUE}).height(10)


def _checkout_failures(known: Facts) -> TimeSeries:
    failed = f'{INSTANCE},etat=~"{"|".join(known.failures[CHECKOUT.name])}"'
    says = "Checkouts that failed at a step, or wait for a person, a minute."
    queries = {"{{etat}}": per_minute(_STATES, failed, "etat")}
    return lines("Checkout failures", queries, unit=PER_MINUTE, says=says).height(10)


def _checkout_transitions() -> TimeSeries:
    says = "States that checkouts came to, a minute; the ten most frequent."
    queries = {"{{etat}}": busiest(_STATES, INSTANCE, "etat")}
    return lines("Checkout transitions", queries, unit=PER_MINUTE, says=says, stacked=True).height(10)
