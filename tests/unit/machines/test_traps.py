"""Illegal tables that earlier versions of the check accepted."""

import pytest
from transitions import MachineError

from machines.call import get, post
from machines.checkout import CHECKOUT
from machines.machine import SagaMachine
from machines.references import FillError
from machines.transitions import Trigger
from tests.unit.machines.tables import hold, look, sell, tell


def test_only_the_last_step_may_end_in_completed(refusal):
    assert "step look: state 'DONE' is named twice" in refusal(look(done="DONE"), sell())


@pytest.mark.parametrize(
    "steps",
    [
        (hold("a", done="STUCK_UNDO_A"), sell()),
        (hold("a", done="HELD"), sell("undo_a")),
        (hold(done="HELD"), tell("a", done="TOLD"), tell("A")),
    ],
)
def test_a_state_that_has_the_name_of_a_derived_stuck_state_is_refused(refusal, steps):
    assert "is named twice" in refusal(*steps)


def test_trigger_outside_the_table_is_refused():
    with pytest.raises(MachineError):
        SagaMachine(CHECKOUT).fire(Trigger.BEGIN)


@pytest.mark.parametrize("value", ["..", ".", ""])
def test_a_dot_segment_cannot_leave_its_segment(value):
    with pytest.raises(FillError, match="client_id is"):
        get("shop", "/a/{client_id}/b").filled_path({"client_id": value}, {})


def test_empty_done_is_refused(refusal):
    assert "'' is not a name" in refusal(look(done=""), sell())


@pytest.mark.parametrize("path", ["/{client_id", "/client_id}"])
def test_a_lone_brace_is_refused(refusal, path):
    assert "step look:" in refusal(look(call=get("shop", path)))


def test_a_reference_without_a_field_is_refused(refusal):
    assert "step sell:" in refusal(look(done="LOOKED"), sell(call=post("shop", "/do", price="look.")))


def test_a_table_that_cannot_fail_is_refused(refusal):
    assert refusal(tell("a", done="TOLD"), tell("b")).endswith("begin with a step that may be refused")


def test_stored_state_outside_the_table_is_refused():
    with pytest.raises(ValueError, match="has no state 'NOWHERE'"):
        SagaMachine(CHECKOUT, "NOWHERE")


def test_error_of_own_reply_in_undo_names_a_working_remedy(refusal):
    assert "move that step up" not in refusal(hold(undo=post("shop", "/undo", n="hold.number")))


def test_a_body_may_have_a_field_named_path():
    assert post("shop", "/do", path="client_id").body == {"path": "client_id"}


def test_error_without_a_similar_name_reads_well(refusal):
    assert "; or " not in refusal(look(call=get("zzzz", "/")))
