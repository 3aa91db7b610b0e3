from diagrams.sequence import Run, runs
from diagrams.text.sequence_text import mermaid_sequence, plantuml_sequence
from machines.checkout import CHECKOUT
from machines.saga import Saga
from tests.support.tables.kitchen_sink import KITCHEN_SINK


def exchanges(run: Run) -> list[str]:
    return [
        f"{exchange.asks} {exchange.step.name} {exchange.outcome} {exchange.then}".removeprefix("do ")
        for exchange in run.exchanges
    ]


def test_a_checkout_that_succeeds():
    first = next(iter(runs(CHECKOUT)))
    assert exchanges(first) == [
        "lire_panier succeeded PANIER_RECUPERE",
        "reserver_stock succeeded STOCK_RESERVE",
        "payer succeeded PAIEMENT_EFFECTUE",
        "enregistrer_vente succeeded COMMANDE_ENREGISTREE",
        "confirmer succeeded CONFIRMEE",
    ]


def test_refused_payment_releases_the_stock_without_a_refund():
    refused = next(run for run in runs(CHECKOUT) if run.name == "payer-refused")
    assert exchanges(refused)[-2:] == ["payer refused ECHEC_PAIEMENT", "undo reserver_stock succeeded ANNULEE"]
    assert not any("rembourser" in str(exchange.call) for exchange in refused.exchanges)


def test_unanswered_sale_is_probed_and_the_checkout_continues():
    unanswered = next(run for run in runs(CHECKOUT) if run.name == "enregistrer_vente-unanswered")
    assert exchanges(unanswered)[3:] == [
        "enregistrer_vente retry PAIEMENT_EFFECTUE",
        "probe enregistrer_vente succeeded COMMANDE_ENREGISTREE",
        "confirmer succeeded CONFIRMEE",
    ]
    for drawn in (plantuml_sequence(unanswered), mermaid_sequence(unanswered)):
        assert drawn.count("no answer") == 1
        assert "GET /ventes/outcome" in drawn


def test_one_sequence_for_success_each_refusal_and_each_probe(saga: Saga):
    refused = {f"{step.name}-refused": saga.compensated for step in saga.steps if step.refused}
    unanswered = {f"{step.name}-unanswered": saga.completed for step in saga.steps if step.probe}
    courses = list(runs(saga))
    assert {run.name: run.end for run in courses} == {"success": saga.completed} | refused | unanswered
    assert len(courses) == 1 + len(refused) + len(unanswered)


def run_of(name: str) -> Run:
    return next(run for run in runs(KITCHEN_SINK) if run.name == name)


def test_a_lost_reply_is_got_again_before_the_undo_that_needs_it():
    run = run_of("book-lost")
    assert exchanges(run)[2:] == [
        "book exhausted NO_SEAT", "recover book succeeded UNDOING_BOOK", "undo book succeeded LETTING_GO",
        "undo hold succeeded CALLED_OFF",
    ]  # fmt: skip
    drawn = mermaid_sequence(run)
    assert "the lost reply of book#58; POST /bookings" in drawn
    assert "no answer" in drawn
    assert "the lost reply of redeem#58; GET /redemptions" in mermaid_sequence(run_of("redeem-lost"))


def test_a_refusal_that_leaves_something_behind_undoes_its_own_step():
    run = run_of("redeem-refused-undo")
    assert "undo redeem succeeded UNDOING_BOOK" in exchanges(run)
    for drawn in (plantuml_sequence(run), mermaid_sequence(run)):
        assert "refused, but it left something behind" in drawn


def test_compensations_run_in_reverse(saga: Saga):
    for run in runs(saga):
        done = [x.step.name for x in run.exchanges if x.asks != "undo" and x.step.undo and x.outcome == "succeeded"]
        undone = [x.step.name for x in run.exchanges if x.asks == "undo"]
        assert undone == ([] if run.end == saga.completed else done[::-1])


def test_every_exchange_is_in_both_diagrams(saga: Saga, hostile: Saga):
    for run in [*runs(saga), *runs(hostile)]:
        count = len(run.exchanges)
        assert plantuml_sequence(run).count("note over _saga") == count
        assert mermaid_sequence(run).count("Note over _saga:") == count


def test_sequence_has_the_titles_of_the_table_with_the_identifiers_beside():
    refused = next(run for run in runs(CHECKOUT) if run.name == "payer-refused")
    for text in (plantuml_sequence(refused), mermaid_sequence(refused).replace("#40;", "(").replace("#41;", ")")):
        for words in (
            "Checkout (checkout v1)", "Take the payment (payer)", "undo Reserve the goods (reserver_stock)",
            "payment refused (ECHEC_PAIEMENT)", "cancelled (ANNULEE)",
        ):  # fmt: skip
            assert words in text
