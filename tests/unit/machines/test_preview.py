import pytest
from transitions import MachineError

from machines.checkout import CHECKOUT
from machines.commande import COMMANDE
from machines.preview import preview
from machines.purchase import PURCHASE
from machines.transitions import Trigger


def states(stops):
    return [stop.state.name for stop in stops]


def test_retry_of_a_pivot_sends_the_probe_first_and_completes():
    seen = preview(CHECKOUT, "STUCK_ENREGISTRER_VENTE", Trigger.RETRY, in_doubt=True)
    assert states(seen.course) == ["PAIEMENT_EFFECTUE", "COMMANDE_ENREGISTREE", "CONFIRMEE"]
    assert [str(call) for call in seen.calls] == ["POST ventes/ventes", "POST stock/confirmer"]
    assert str(seen.course[0].probe) == "GET ventes/ventes/outcome"
    assert seen.course[1].probe is None
    assert seen.end.phase == "completed"


def test_failed_retry_of_a_pivot_is_stuck_again():
    otherwise = dict(preview(CHECKOUT, "STUCK_ENREGISTRER_VENTE", Trigger.RETRY, in_doubt=True).otherwise)
    assert {trigger: states(stops) for trigger, stops in otherwise.items()} == {
        Trigger.REFUSED_IN_DOUBT: ["STUCK_ENREGISTRER_VENTE"],
        Trigger.EXHAUSTED: ["STUCK_ENREGISTRER_VENTE"],
    }


def test_a_retry_of_an_undo_that_is_refused_again_is_stuck_again():
    otherwise = dict(preview(CHECKOUT, "STUCK_UNDO_PAYER", Trigger.RETRY, in_doubt=True).otherwise)
    assert states(otherwise[Trigger.REFUSED]) == ["STUCK_UNDO_PAYER"]


def test_undoing_a_stuck_pivot_calls_the_compensations_in_reverse():
    seen = preview(CHECKOUT, "STUCK_ENREGISTRER_VENTE", Trigger.COMPENSATE, in_doubt=True)
    assert states(seen.course) == ["REMBOURSEMENT", "LIBERATION_STOCK", "ANNULEE"]
    assert [call.path for call in seen.calls] == ["/{client_id}/rembourser", "/liberer"]


def test_resolving_by_hand_does_not_send_the_call_again():
    seen = preview(CHECKOUT, "STUCK_ENREGISTRER_VENTE", Trigger.RESOLVE, in_doubt=True)
    assert states(seen.course) == ["COMMANDE_ENREGISTREE", "CONFIRMEE"]
    assert [call.path for call in seen.calls] == ["/confirmer"]


@pytest.mark.parametrize(
    ("in_doubt", "undone"), [(True, ["REMBOURSEMENT", "LIBERATION_STOCK"]), (False, ["LIBERATION_STOCK"])]
)
def test_cancel_undoes_the_call_in_flight_only_when_in_doubt(in_doubt, undone):
    seen = preview(CHECKOUT, "STOCK_RESERVE", Trigger.CANCEL, in_doubt=in_doubt)
    assert states(seen.course) == [*undone, "ANNULEE"], "no participant refuses anything"


def test_preview_passes_through_a_doing_state():
    seen = preview(COMMANDE, "STUCK_CREER_COMMANDE", Trigger.RESOLVE, in_doubt=True)
    assert states(seen.course) == ["COMMANDE_CREEE", "SAGA_TERMINEE"]
    seen = preview(COMMANDE, "STUCK_RESERVER_STOCK", Trigger.RETRY, in_doubt=True)
    assert states(seen.course)[:3] == ["RESERVATION_STOCK", "STOCK_RESERVE", "CREATION_COMMANDE"]


def test_completed_purchase_is_compensated_in_the_preview():
    seen = preview(PURCHASE, PURCHASE.completed, Trigger.COMPENSATE, in_doubt=False)
    assert seen.end.phase == "compensated"
    assert len(seen.calls) == sum(step.undo is not None for step in PURCHASE.steps)


def test_preview_of_a_move_outside_the_table_is_refused():
    with pytest.raises(MachineError):
        preview(CHECKOUT, "CONFIRMEE", Trigger.COMPENSATE, in_doubt=False)


def test_refusal_in_doubt_undoes_the_step_too():
    otherwise = dict(preview(CHECKOUT, "STUCK_PAYER", Trigger.RETRY, in_doubt=False).otherwise)
    undone = ["ECHEC_PAIEMENT", "REMBOURSEMENT", "LIBERATION_STOCK", "ANNULEE"]
    assert (states(otherwise[Trigger.REFUSED]), states(otherwise[Trigger.EXHAUSTED])) == (undone, undone)


def test_refusal_without_doubt_undoes_only_the_steps_before():
    otherwise = dict(preview(COMMANDE, "STUCK_LIRE_PRODUITS", Trigger.RETRY, in_doubt=False).otherwise)
    assert states(otherwise[Trigger.REFUSED]) == ["ECHEC_PRODUIT", "SAGA_ANNULEE"]
