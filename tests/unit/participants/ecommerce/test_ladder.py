"""The steps of a saga as a ladder, from the orchestrator's JSON and from the definition that its API shows."""

import pytest

from machines.checkout import CHECKOUT as TABLE
from participants.ecommerce.ladder import Look, ladder
from participants.ecommerce.routes import CURRENCY
from tests.unit.participants.ecommerce.conftest import CHECKOUT, did

READ, RESERVE, PAY, SELL, CONFIRM = (step.name for step in TABLE.steps)


def seen(state, *journal):
    """Return the looks of the actions and of the undos, in the order of the steps."""
    found = ladder({"state": state, "journal": list(journal)}, CHECKOUT)
    return [rung.do.look for rung in found.rungs], [rung.undo.look for rung in found.rungs if rung.undo], found


def test_steps_passed_are_done_the_current_stands_out_and_others_are_to_come():
    do, undo, found = seen("STOCK_RESERVE", did(READ), did(RESERVE))
    assert do == [Look.DONE, Look.DONE, Look.NOW, Look.AHEAD, Look.AHEAD]
    assert undo == [Look.LEFT_OUT, Look.LEFT_OUT]
    assert (found.completed.look, found.compensated.look, found.back) == (Look.AHEAD, Look.LEFT_OUT, False)
    assert [rung.do.name for rung in found.rungs if rung.pivot] == [SELL]


def test_attempt_without_an_answer_leaves_its_step_the_current_one():
    assert seen("STOCK_RESERVE", did(READ), did(RESERVE), did(PAY, "retry", "unknown"))[0][2] is Look.NOW


def test_step_is_undone_on_the_way_back_and_the_next_undo_is_to_come():
    back = did(READ), did(RESERVE), did(PAY), did(SELL, "refused", "refused")
    do, undo, found = seen("REMBOURSEMENT", *back)
    assert do == [Look.DONE, Look.DONE, Look.DONE, Look.REFUSED, Look.LEFT_OUT]
    assert undo == [Look.AHEAD, Look.NOW]
    assert found.back
    do, undo, _ = seen("LIBERATION_STOCK", *back, did(PAY, direction="undo"))
    assert (do[2], undo) == (Look.UNDONE, [Look.NOW, Look.DONE])


def test_cancelled_order_shows_what_was_undone_and_what_was_not_needed():
    do, undo, found = seen(
        "ANNULEE", did(READ), did(RESERVE), did(PAY, "refused", "refused"), did(RESERVE, direction="undo")
    )
    assert do == [Look.DONE, Look.UNDONE, Look.REFUSED, Look.LEFT_OUT, Look.LEFT_OUT]
    assert undo == [Look.DONE, Look.LEFT_OUT]
    assert (found.completed.look, found.compensated.look) == (Look.LEFT_OUT, Look.DONE)


def test_step_that_nobody_knows_about_is_undone_whether_it_happened_or_not():
    lost = did(READ), did(RESERVE), did(PAY, "exhausted", "unknown")
    assert seen("REMBOURSEMENT", *lost)[0][2] is Look.UNKNOWN
    _, _, found = seen("LIBERATION_STOCK", *lost, did(PAY, direction="undo"))
    assert (found.rungs[2].do.look, found.rungs[2].do.status) == (Look.UNDONE, "undone, whether it happened or not")


def test_stuck_step_has_the_state_of_the_saga():
    done = did(READ), did(RESERVE), did(PAY), did(SELL)
    do, _, found = seen("STUCK_CONFIRMER", *done, did(CONFIRM, "refused", "refused"))
    assert do[-1] is Look.STUCK
    assert found.rungs[-1].do.state == "STUCK_CONFIRMER"
    by_hand = seen("CONFIRMEE", *done, did(CONFIRM, "refused", "refused"), did(CONFIRM, "resolve", None))[2]
    assert (by_hand.rungs[-1].do.status, by_hand.completed.look) == ("done by hand", Look.DONE)


@pytest.mark.parametrize("state", ["COMMANDE_ENREGISTREE", "STUCK_CONFIRMER"])
def test_no_undo_waits_for_a_need_behind_the_point_of_no_return(state):
    done = did(READ), did(RESERVE), did(PAY)
    words = [rung.undo.status for rung in seen("PAIEMENT_EFFECTUE", *done)[2].rungs if rung.undo]
    assert words == ["if needed"] * 2
    behind = seen(state, *done, did(SELL))[2]
    assert [rung.undo.status for rung in behind.rungs if rung.undo] == ["not possible any more"] * 2
    assert {rung.undo.look for rung in behind.rungs if rung.undo} == {Look.LEFT_OUT}


def test_stuck_undo_is_marked_and_not_its_action():
    _, undo, found = seen(
        stuck_undo_state(),
        did(READ), did(RESERVE), did(PAY, "refused", "refused"), did(RESERVE, "exhausted", "unknown", "undo"),
    )  # fmt: skip
    assert undo[0] is Look.STUCK
    assert found.rungs[1].do.look is Look.DONE


def stuck_undo_state():
    return next(s.name for s in TABLE.states.values() if s.phase == "stuck" and s.undoes and s.step.name == RESERVE)


@pytest.mark.parametrize("state", ["STOCK_RESERVE", "REMBOURSEMENT", "CONFIRMEE", "ANNULEE"])
def test_each_look_has_its_own_sign_and_words_beside_its_colour(state):
    found = ladder({"state": state, "journal": [did(READ)]}, CHECKOUT)
    boxes = [rung.do for rung in found.rungs] + [rung.undo for rung in found.rungs if rung.undo]
    assert all(box.sign and box.status and box.title and box.name for box in boxes)
    signs = {look: box.sign for look in Look for box in boxes if box.look is look}
    assert len(set(signs.values())) == len(signs)


def test_shop_has_the_currency_of_the_table():
    assert {step.amount.currency for step in TABLE.steps if step.amount} == {CURRENCY}
