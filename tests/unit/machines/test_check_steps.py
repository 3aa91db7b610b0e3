import re
from dataclasses import replace

import pytest

from machines.call import Call, get, post, put
from machines.retry import Retry
from machines.templates import const
from tests.unit.machines.tables import hold, look, saga, sell, tell


def test_a_compensatable_without_undo_is_refused(refusal):
    text = refusal(replace(hold(), undo=None))
    assert text.startswith("sale v1: step hold: it is compensatable but has no undo; ")
    assert "give it one, or make it a pivot or a retriable" in text


def test_a_compensatable_without_a_state_for_its_undo_is_refused(refusal):
    assert refusal(replace(hold(), undoing=None)).startswith("sale v1: step hold: it is compensatable but has no undo;")


@pytest.mark.parametrize("step", [look, hold, sell])
def test_step_that_may_fail_must_name_a_failure_state(refusal, step):
    failing = replace(step("first"), refused=None)
    assert refusal(failing) == "sale v1: step first: it has no state for a refusal; name one with refused="


@pytest.mark.parametrize("before", [sell, tell])
def test_a_read_after_the_point_of_no_return_cannot_be_refused(refusal, before):
    text = refusal(hold(done="HELD"), before("before", done="SOLD"), look(refused="NO_LOOK"))
    assert text.startswith("sale v1: step look: it cannot be refused, because there is no way back; ")
    assert text.endswith("drop refused='NO_LOOK'")


def test_a_retriable_cannot_be_refused(refusal):
    text = refusal(hold(done="HELD"), replace(tell(), refused="NO_TELL"))
    assert text.startswith("sale v1: step tell: it cannot be refused, because there is no way back; ")


def test_a_read_after_the_point_of_no_return_needs_no_state_for_a_refusal():
    assert saga(sell(done="SOLD"), look(refused=None)).steps[1].refused is None


@pytest.mark.parametrize(
    "columns",
    [{"timeout_s": 0}, {"timeout_s": -1.0}, {"retry": Retry(attempts=0)}, {"retry": Retry(attempts=-3)}],
)
def test_a_call_that_could_never_be_made_is_refused(refusal, columns):
    text = refusal(look(**columns))
    assert re.match(
        r"sale v1: step look: (timeout_s|retry: attempts)=.* is out of bounds; give a (whole )?number ", text
    )


def test_one_attempt_and_any_timeout_above_0_are_enough():
    assert saga(look(retry=Retry(attempts=1), timeout_s=0.001))


def test_error_names_the_wrong_step(refusal):
    assert refusal(look(done="LOOKED"), sell(done="SOLD"), tell(timeout_s=0)).startswith("sale v1: step tell: ")


def test_a_probe_that_might_change_something_is_refused(refusal):
    text = refusal(sell(probe=post("till", "/sales/ask")))
    assert text == "sale v1: step sell: its probe POST till/sales/ask might change something; ask with get()"


def test_an_undo_that_only_reads_is_refused(refusal):
    text = refusal(hold(undo=get("shop", "/undo")))
    assert text == "sale v1: step hold: its undo GET shop/undo only reads, so it would undo nothing; write post()"


@pytest.mark.parametrize("step", [hold, sell, tell])
def test_action_may_be_a_get(step):
    assert saga(look(done="LOOKED"), step(call=get("shop", "/send")))


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_read_that_changes_something_is_refused(refusal, method):
    text = refusal(look(call=Call(method=method, participant="shop", path="/do")))
    assert text.startswith(f"sale v1: step look: it is a read, but its call {method} shop/do changes something; use ")


def test_a_read_may_ask_with_post():
    assert saga(look(call=post("shop", "/available", client="client_id")))


def test_a_probe_is_checked_like_any_call(refusal):
    assert "participant 'till' is not registered" in refusal(sell(probe=get("till", "/sales")))
    assert "'look.price' begins with 'look', which is no earlier step and no field of data" in refusal(
        sell(probe=get("shop", "/sales/{look.price}"))
    )


def test_missing_brace_is_named_before_what_follows_from_it(refusal):
    text = refusal(sell(call=post("shop", "/sales/{client id/{day")))
    assert "has a brace without its other half; write {field} or {step.field}" in text


@pytest.mark.parametrize("same", [{}, {"query": {"of": "client_id"}}, {"headers": {"Of": "saga.id"}}])
def test_undo_that_sends_what_its_call_sends_is_refused(refusal, same):
    call = post("shop", "/hold", body={"of": "client_id"}, **same)
    text = refusal(hold(call=call, undo=post("shop", "/hold", body={"of": "client_id"}, **same)))
    assert "its undo POST shop/hold is the same request as its call; give it another path, method or body" in text


@pytest.mark.parametrize(
    "undo",
    [
        post("shop", "/hold/undo", body={"of": "client_id"}),
        put("shop", "/hold", body={"of": "client_id"}),
        post("shop", "/hold", body={"of": "client_id", "undo": const(True)}),
        post("shop", "/hold", body={"of": "client_id"}, query={"undo": const("yes")}),
        post("shop", "/hold", body={"of": "client_id"}, headers={"Undo": const("yes")}),
        post("shop", "/hold", form={"of": "client_id"}),
    ],
)
def test_undo_that_differs_from_its_call_is_legal(undo):
    assert saga(hold(call=post("shop", "/hold", body={"of": "client_id"}), undo=undo))
