"""The metrics of the reference documents, while sagas of every kind run side by side."""

from itertools import count

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.store.statistics import saga_counts
from app.telemetry.aliases import ALIASES
from app.telemetry.exposition import Exposition
from app.telemetry.saga_gauges import SagaGauges
from machines.checkout import CHECKOUT
from machines.commande import COMMANDE
from machines.order import ORDER
from machines.product_return import RETURN
from machines.purchase import PURCHASE
from machines.samples import example
from tests.integration.engine.scene import LOST, REFUSED, answer


@pytest.fixture
def metrics(scene):
    """Return the output of /metrics after several sagas of each definition have run."""
    clock = count(0, 10)
    gauges = SagaGauges(lambda: saga_counts(scene.database, scene.registry), scene.registry, lambda: float(next(clock)))
    shown = Exposition(
        scene.metrics, transitions=scene.telemetry.transitions, collectors=[gauges.collect], aliases=ALIASES
    )

    def run(definition, times, **instead):
        for _ in range(times):
            for step in definition.steps:
                said = answer(200, **dict.fromkeys(definition.needed_fields[step.name], "x"))
                scene.given(**{step.name: instead.get(step.name, [said])})
            scene.run(definition, **example(definition.data))
            scene.replies.clear()

    run(CHECKOUT, 1)
    run(CHECKOUT, 2, payer=[REFUSED])
    run(COMMANDE, 3)
    run(COMMANDE, 4, reserver_stock=[REFUSED])
    run(COMMANDE, 1, creer_commande=[LOST] * 10)  # stuck
    run(ORDER, 5)
    run(ORDER, 6, payer=[REFUSED])
    run(PURCHASE, 7)
    run(PURCHASE, 8, PROCESS_PAYMENT=[REFUSED])
    run(RETURN, 9)
    samples = []
    for family in text_string_to_metric_families(generate_latest(shown).decode()):
        samples += family.samples

    def value(name, **labels):
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    value.labels = lambda name, label: {s.labels[label] for s in samples if s.name == name and s.value}
    return value


def states_of(definition):
    return set(definition.states)


def test_commande_etat_total_counts_only_orders_of_checkouts(metrics):
    assert metrics.labels("commande_etat_total", "etat") <= states_of(CHECKOUT)
    assert {state: metrics("commande_etat_total", etat=state) for state in ("INITIEE", "STOCK_RESERVE", "ANNULEE")} == {
        "INITIEE": 3, "STOCK_RESERVE": 3, "ANNULEE": 2,
    }  # fmt: skip


def test_metrics_of_the_order_saga_count_only_this_saga(metrics):
    steps = {step.name for step in COMMANDE.steps}
    assert metrics.labels("saga_etapes_total", "etape") == steps
    assert metrics("saga_etapes_total", etape="reserver_stock", statut="completed") == 3 + 1
    assert metrics("saga_etapes_total", etape="lire_produits", statut="completed") == 3 + 4 + 1
    assert metrics("saga_etapes_total", etape="reserver_stock", statut="failed") == 4
    assert metrics.labels("saga_echecs_total", "etape_echec") == {"reserver_stock", "creer_commande"}
    assert metrics("saga_echecs_total") == 4 + 1
    assert metrics.labels("saga_duree_seconds_count", "etat_final") <= {COMMANDE.completed, COMMANDE.compensated}
    assert metrics("saga_duree_seconds_count", etat_final="SAGA_TERMINEE") == 3
    assert metrics("saga_duree_seconds_count") == metrics("saga_duree_seconds_bucket", le="+Inf") == 3 + 4
    assert metrics.labels("saga_actives_current", "etat") == {"STUCK_CREER_COMMANDE"}
    assert metrics("saga_actives_current") == 1


def test_call_metrics_of_the_order_saga_count_only_its_calls(metrics):
    assert metrics.labels("services_externes_calls_total", "service") == set(COMMANDE.participants)
    assert metrics("services_externes_calls_total", service="stock", endpoint="/reserver") == 3 + 4 + 1
    assert metrics("services_externes_duree_seconds_count", service="stock", endpoint="/reserver") == 3 + 4 + 1
    assert metrics("saga_participant_calls_total", participant="stock", endpoint="/reserver") > 3 + 4 + 1


def test_saga_steps_total_answers_the_documented_query(metrics):
    assert metrics("saga_steps_total", type="validate_inventory", status="completed") == 7 + 8
    assert metrics("saga_steps_total", type="process_payment", status="failed") == 8
    assert metrics("saga_steps_total", type="reserve_inventory", status="compensated") == 8
    assert metrics("saga_steps_total", type="process_refund", status="completed") == 9


def test_saga_steps_total_counts_each_step_once(metrics):
    purchase = 7 * 5 + 8 * 2
    assert metrics("saga_steps_total", saga="purchase_saga", status="completed") == purchase
    assert metrics("saga_steps_total", step="VALIDATE_INVENTORY") == metrics(
        "saga_steps_total", type="validate_inventory"
    )
    assert metrics("saga_steps_total") == metrics("saga_transitions_total", trigger="succeeded") + metrics(
        "saga_failures_total"
    )


def test_label_type_equals_the_label_saga_of_other_metrics(metrics):
    assert metrics("saga_total", type="purchase_saga", status="completed") == 7
    assert metrics("saga_failures_total", type="purchase_saga") == 8
    assert metrics("saga_compensations_total", type="purchase_saga") == 8
    assert metrics("saga_duration_seconds_count", type="return_saga") == 9
