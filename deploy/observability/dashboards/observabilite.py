"""The dashboard Observabilité des Sagas: the panels that docs/coverage.md requires, and the states of the sagas."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.bargauge import Panel as BarGauge
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.observability import shared
from deploy.observability.panels import BLUE, PER_MINUTE, bars, lines, wide
from deploy.observability.promql import INSTANCE, busiest, count, per_minute
from deploy.observability.step_distribution import standing_now, step_distribution
from machines.checkout import CHECKOUT
from machines.commande import COMMANDE
from machines.facts import Facts

UID, TITLE = "observabilite-sagas", "Observabilité des Sagas - LOG430 Lab6"

#: A metric that the reference documents (docs/coverage.md) require: how often checkouts entered each state.
_STATES = "commande_etat_total"


def panels(known: Facts) -> Iterator[Builder[Panel]]:
    yield wide(shared.start_rate(), 9).height(6)
    yield shared.started("Total").span(3).height(6)
    yield shared.stuck_now().span(3).height(6)
    yield wide(shared.durations(), 9).height(6)
    yield step_distribution(known)
    yield standing_now(known).span(12)
    if COMMANDE.name in known.failures:
        yield wide(_outcomes_of_commande()).height(9)
    yield wide(shared.compensations())
    yield wide(shared.by_status())
    if CHECKOUT.name in known.failures:
        yield _checkouts_by_state()
        yield _checkout_failures(known)
        yield _checkout_transitions()


def _outcomes_of_commande() -> TimeSeries:
    by_step = busiest("saga_etapes_total", INSTANCE, "etape", "statut")
    text = "Only the saga commande, with the names of the reference metrics; the ten most frequent."
    return lines("Step outcomes a minute: commande", {"{{etape}} {{statut}}": by_step}, unit=PER_MINUTE, text=text)


def _checkouts_by_state() -> BarGauge:
    """Return the panel with one bar per state that a checkout has entered."""
    reached = f"sort_desc(round({count(_STATES, INSTANCE, 'etat')}) > 0)"
    text = "Number of checkouts that entered each state in the shown range."
    return bars("Checkouts by state", reached, "{{etat}}", unit="short", text=text, steps={0: BLUE}).height(10)


def _checkout_failures(known: Facts) -> TimeSeries:
    failed = f'{INSTANCE},etat=~"{"|".join(known.failures[CHECKOUT.name])}"'
    text = "Checkouts that failed at a step or wait for an operator, per minute."
    queries = {"{{etat}}": per_minute(_STATES, failed, "etat")}
    return lines("Checkout failures", queries, unit=PER_MINUTE, text=text).height(10)


def _checkout_transitions() -> TimeSeries:
    text = "States that checkouts entered, per minute; the ten most frequent."
    queries = {"{{etat}}": busiest(_STATES, INSTANCE, "etat")}
    return lines("Checkout transitions", queries, unit=PER_MINUTE, text=text, stacked=True).height(10)
