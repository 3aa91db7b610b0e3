"""A saga described in plain words, from the orchestrator's JSON."""

from itertools import count

import pytest

from participants.ecommerce.narration import narrate
from participants.ecommerce.orchestrator import Definition

CHECKOUT = Definition(
    phases={
        "INITIEE": "forward", "STOCK_RESERVE": "forward", "PAIEMENT_EFFECTUE": "forward", "REMBOURSEMENT": "undoing",
        "LIBERATION_STOCK": "undoing", "CONFIRMEE": "completed", "ANNULEE": "compensated", "STUCK_PAYER": "stuck",
    },
    steps={
        "INITIEE": "lire_panier", "STOCK_RESERVE": "payer", "PAIEMENT_EFFECTUE": "enregistrer_vente",
        "REMBOURSEMENT": "payer", "LIBERATION_STOCK": "reserver_stock", "STUCK_PAYER": "payer",
        "CONFIRMEE": None, "ANNULEE": None,
    },
    participants={"lire_panier": "panier", "reserver_stock": "stock", "payer": "client", "enregistrer_vente": "ventes"},
    kinds={
        "lire_panier": "read", "reserver_stock": "compensatable", "payer": "compensatable",
        "enregistrer_vente": "pivot",
    },
    step_titles={
        "lire_panier": "Read the cart", "reserver_stock": "Reserve the goods", "payer": "Take the payment",
        "enregistrer_vente": "Record the sale",
    },
    state_titles={"LIBERATION_STOCK": "releases the goods", "REMBOURSEMENT": "refunds the payment"},
    completed="CONFIRMEE", compensated="ANNULEE",
)  # fmt: skip


def entry(step, trigger="succeeded", outcome="succeeded", **more):
    known = {"direction": "do", "attempt": 1, "actor": "engine@a", "reason": None, "duration_ms": 1.0}
    return {"step": step, "trigger": trigger, "outcome": outcome} | known | more


def narration_of(state, *journal, kind="checkout", status="in_progress"):
    return narrate({"type": kind, "status": status, "state": state, "journal": list(journal)}, CHECKOUT)


def test_the_call_in_flight_is_the_last_of_the_list_and_the_headline():
    narration = narration_of("STOCK_RESERVE", entry("lire_panier"), entry("reserver_stock"))
    assert [(call.who, call.what, call.outcome) for call in narration.calls] == [
        ("Cart", "Read the cart", "done"),
        ("Stock", "Reserve the goods", "done"),
        ("Payment", "Take the payment", "under way"),
    ]
    assert narration.headline == "Payment is asked to take the payment …"
    assert (narration.tone, narration.ended) == ("going", False)


def test_refusal_is_described_with_reason_and_consequence():
    refused = entry("payer", "refused", "refused", reason="402 Client 2 has less than 5.00")
    narration = narration_of("LIBERATION_STOCK", entry("reserver_stock"), refused)
    assert narration.headline == "Payment refused: Client 2 has less than 5.00. Going back: Stock releases the goods."
    assert (narration.calls[-1].undoes, narration.tone) == (True, "undoing")


def test_order_that_is_stuck_by_a_refusal_is_not_said_to_be_in_doubt():
    refused = entry("payer", "refused", "refused", reason="409 Closed")
    headline = narration_of("STUCK_PAYER", refused).headline
    assert headline == "The order is stuck: Payment refused (Closed), and there is no way back, so a person decides."


def test_lost_reply_is_described_as_possible_effect():
    lost = entry("payer", "retry", "unknown", reason="the connection was lost before the answer")
    narration = narration_of("STOCK_RESERVE", lost)
    assert narration.headline == (
        "Payment: The connection was lost before the answer. "
        "It may have happened, so the same call goes out again with the same key."
    )
    assert (narration.calls[0].outcome, narration.calls[1].attempt) == ("no answer", 2)


def test_step_without_any_answer_is_described_as_undone():
    exhausted = entry("payer", "exhausted", "unknown", reason="503 Fault")
    assert "It may have happened, so it is undone as well." in narration_of("REMBOURSEMENT", exhausted).headline


@pytest.mark.parametrize(
    ("trigger", "words"),
    [("exhausted", "Reading changes nothing."), ("retry", "Reading changes nothing, so it is asked again.")],
)
def test_failed_read_is_not_said_to_be_undone(trigger, words):
    failed = entry("lire_panier", trigger, "unknown", reason="503 Fault")
    headline = narration_of("ANNULEE" if trigger == "exhausted" else "INITIEE", failed).headline
    assert words in headline
    assert "may have happened" not in headline


def test_pivot_without_a_clear_answer_stays_unknown_after_the_cancellation():
    lost = entry("enregistrer_vente", "exhausted", "unknown", reason="503 Fault")
    headline = narration_of("ANNULEE", entry("payer"), lost, entry("payer", direction="undo")).headline
    assert headline.endswith("Still unknown: record the sale. Everything else that had been done is undone.")
    assert "undone as well" not in headline


def test_step_that_a_person_marked_as_done_is_not_said_to_be_done_by_its_participant():
    by_hand = entry("enregistrer_vente", "resolve", None, actor="user:otto")
    headline = narration_of("CONFIRMEE", entry("payer"), by_hand).headline
    assert headline == "The order is confirmed: a person saw to it by hand (record the sale)."


@pytest.mark.parametrize(
    ("state", "tone", "words"),
    [
        ("CONFIRMEE", "good", "The order is confirmed"),
        ("ANNULEE", "undone", "Everything that had been done is undone"),
        ("STUCK_PAYER", "stuck", "a person decides"),
    ],
)
def test_end_of_a_saga_is_described_as_an_end(state, tone, words):
    narration = narration_of(state)
    assert words in narration.headline
    assert (narration.tone, narration.ended, narration.calls) == (tone, tone != "stuck", [])


def test_takeover_by_another_process_is_described():
    narration = narration_of("PAIEMENT_EFFECTUE", entry("lire_panier"), entry("payer", actor="engine@b"))
    assert [call.taken_over for call in narration.calls] == [False, True, False]


def test_the_mark_changes_with_every_move():
    moves = [entry("payer", "retry", "unknown") for _ in range(3)]
    marks = [narration_of("STOCK_RESERVE", *moves[:number]).mark for number, _ in zip(count(1), moves, strict=False)]
    assert len(set(marks)) == 3


def test_pending_saga_has_no_call_in_flight():
    narration = narration_of("INITIEE", status="pending")
    assert (narration.calls, narration.headline) == ([], "The order is about to begin.")
