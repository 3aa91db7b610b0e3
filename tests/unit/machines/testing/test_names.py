"""A name that no saga of the table can have is an error, also where a test compares in the negative."""

import pytest

from machines import Saga, branch, compensatable, each, get, list_of, object_of, pivot, post, read, sub, text, together
from machines.testing import UnknownNameError, always, given, lost, refused


def step(name, **columns):
    return compensatable(
        name, post("shop", f"/{name}"), undo=post("shop", f"/{name}/undo"), done=f"{name.upper()}_DONE",
        refused=f"{name.upper()}_REFUSED", **columns,
    )  # fmt: skip


CHARGE = Saga(
    name="charge", version=1, initial="OPEN", completed="HOLD_DONE", compensated="NOT_CHARGED", data={},
    participants=("shop",), steps=(step("hold"),),
)  # fmt: skip
INVOICE = step("invoice", probe=get("shop", "/invoices/{saga.id}"))
ORDER = Saga(
    name="order", version=1, initial="NEW", completed="SALE_DONE", compensated="CALLED_OFF",
    data={"lines": list_of(text())}, participants=("shop",), events={"SALE_DONE": "OrderSold"},
    steps=(
        read("cart", get("shop", "/cart"), done="CART_READ", refused="NO_CART"),
        each("lines", step("take"), done="ALL_TAKEN", refused="NOT_TAKEN"),
        together(step("label"), branch("bill", INVOICE), name="papers", done="PRINTED", refused="NOT_PRINTED"),
        sub("pay", saga="charge", data={}, done="PAID", refused="UNPAID"),
        pivot("sale", post("shop", "/sale"), done="SALE_DONE", refused="NO_SALE"),
    ),
)  # fmt: skip


def order(**answers):
    return given(ORDER, {"lines": ["pen", "ink"]}, [CHARGE]).when(**answers).run()


WRONG = {
    "an end": (lambda run: run.ended != "CALLED_OF", "order v1 has no end 'CALLED_OF'; did you mean 'CALLED_OFF'?"),
    "a state that is no end": (lambda run: run.ended != "PAID", "no end 'PAID'; write one of SALE_DONE, CALLED_OFF"),
    "a status": (lambda run: run.status != "compnsated", "no status 'compnsated'; did you mean 'compensated'?"),
    "a status among others": (lambda run: run.status not in ("stuk", "waiting"), "no status 'stuk'"),
    "a state": (lambda run: run.state != "STUCK_SAEL", "no state 'STUCK_SAEL'; did you mean 'STUCK_SALE'?"),
    "a state on the way": (lambda run: "CART_RED" not in run.states, "no state 'CART_RED'"),
    "a step by its effect": (lambda run: run.effects.get("sael"), "no step 'sael'; did you mean 'sale'?"),
    "a step in effects": (lambda run: "sael" not in run.effects, "no step 'sael'"),
    "a step with brackets": (lambda run: run.effects["sael"], "no step 'sael'"),
    "an effect": (lambda run: run.effects["sale"] != "took efect", "no effect 'took efect'"),
    "an effect among all": (lambda run: "took efect" not in run.effects.values(), "no effect 'took efect'"),
    "all effects": (lambda run: run.effects != {"sael": "undone"}, "no step 'sael'"),
    "all effects with another one": (lambda run: run.effects != {"sale": "undon"}, "no effect 'undon'"),
    "a step in force": (lambda run: "sael" not in run.took_effect, "no step 'sael'"),
    "a call": (lambda run: "hlod" not in run.calls, "no call 'hlod'"),
    "an undo": (lambda run: "undo hlod" not in run.calls, "no call 'undo hlod'"),
    "the undo of a step that has none": (lambda run: "undo sale" not in run.calls, "no call 'undo sale'"),
    "the probe of a step that has none": (lambda run: "probe cart" not in run.calls, "no call 'probe cart'"),
    "the poll of a step that has none": (lambda run: "poll pay.hold" not in run.calls, "no call 'poll pay.hold'"),
    "a list of calls": (lambda run: run.calls != ["cart", "hlod"], "no call 'hlod'"),
    "the last calls": (lambda run: run.calls[-2:] != ["hlod"], "no call 'hlod'"),
    "one call": (lambda run: run.calls[0] != "crat", "no call 'crat'; did you mean 'cart'?"),
    "a number of calls": (lambda run: run.calls.count("crat") == 0, "no call 'crat'"),
    "a number of what never came": (lambda run: run.allowed().count("retri") == 0, "no action 'retri'"),
    "a list of calls that is not equal": (lambda run: not run.calls == ["hlod"], "no call 'hlod'"),  # noqa: SIM201
    "effects that are not equal": (lambda run: not run.effects == {"sael": "undone"}, "no step 'sael'"),  # noqa: SIM201
    "an item without its number": (lambda run: "take" not in run.calls, "no call 'take'; did you mean 'take[0]'?"),
    "a step of a child alone": (lambda run: "hold" not in run.calls, "no call 'hold'; did you mean 'pay.hold'?"),
    "a group": (lambda run: "papers" not in run.calls, "no call 'papers'"),
    "the step of a call": (lambda run: run.calls[0].step != "crat", "no step 'crat'"),
    "a call of a child": (lambda run: "hold" not in run.child("pay").calls, "charge v1 has no call 'hold'"),
    "a state of a child": (lambda run: run.child("take", 0).ended != "TAEK_DONE", "no end 'TAEK_DONE'"),
    "a move": (lambda run: "crat: done, to CART_READ" not in run.moves, "did you mean 'cart'?"),
    "the state of a move": (lambda run: "cart: done, to CART_RED" not in run.moves, "did you mean 'CART_READ'?"),
    "a move of the journal": (lambda run: run.journal[0].dest != "NWE", "no state 'NWE'; did you mean 'NEW'?"),
    "the step of a move": (lambda run: run.journal[1].step != "crat", "no step 'crat'"),
    "an event": (lambda run: "OrderSlod" not in run.events, "no event 'OrderSlod'; did you mean 'OrderSold'?"),
    "an action": (lambda run: "retri" not in run.allowed(), "no action 'retri'; did you mean 'retry'?"),
    "an item that is not in the list": (lambda run: "take[2]" not in run.calls, "'take[2]'; lines has 2 items"),
    "the undo of such an item": (lambda run: "undo take[7]" in run.calls, "no call 'undo take[7]'; lines has 2 items"),
    "one call of such an item": (lambda run: run.calls[0] != "take[2]", "lines has 2 items"),
    "the effect of such an item": (lambda run: run.effects.get("take[2]"), "no step 'take[2]'; lines has 2 items"),
    "another item than that of a child": (
        lambda run: "take[1]" not in run.child("take", 0).calls, "no call 'take[1]'; this saga is of item 0"
    ),
    "a result": (lambda run: run.results.get("crat"), "no step 'crat'"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_unknown_name_is_an_error_that_names_the_right_one(case):
    compare, problem = WRONG[case]
    with pytest.raises(UnknownNameError) as caught:
        compare(order())
    assert problem in str(caught.value)


def test_every_legal_name_can_be_compared_also_one_that_is_absent():
    run = order(sale=refused())
    assert (run.ended, run.status, run.state) == ("CALLED_OFF", "compensated", "CALLED_OFF")
    assert run.ended != "SALE_DONE"
    assert run.status not in ("stuck", "waiting", "running", "compensating", "completed", "pending")
    assert "STUCK_SALE" not in run.states
    assert run.calls[:3] == ["cart", "take[0]", "take[1]"]
    assert "undo take[1]" in run.calls
    assert "probe invoice" not in run.calls
    assert ("undo label" in run.calls, "cart" in run.took_effect, run.calls.count("sale")) == (True, False, 1)
    assert run.effects["pay.hold"] == "undone"
    assert "take" not in run.effects
    assert "papers" not in run.effects  # before its branches start it is there
    assert "sale: done, to SALE_DONE" not in run.moves
    assert run.moves[1] == "cart: done, to CART_READ"
    assert (run.allowed(), run.events) == ([], [])
    assert run.child("pay").calls == ["pay.hold", "undo pay.hold"]
    assert run.ended is not None
    assert run.state != 7


def test_names_of_two_runs_are_compared_as_they_are():
    other = given(CHARGE).run()
    run = order()
    assert run.calls != other.calls
    assert run.ended != other.ended
    assert run.effects != other.effects
    stuck = order(sale=always(lost))
    assert (stuck.ended, stuck.state, stuck.allowed()) == (None, "STUCK_SALE", ["retry", "compensate", "resolve"])


PIECES = each("item.pieces", step("pack"), done="PACKED", refused="NOT_PACKED")
DEEP = Saga(
    name="deep", version=1, initial="NEW", completed="SALE_DONE", compensated="CALLED_OFF",
    data={"boxes": list_of(object_of({"pieces": list_of(text())}))}, participants=("shop",),
    steps=(
        each("boxes", together(PIECES, step("label"), name="both", done="BOTH", refused="NOT_BOTH"),
             sub("pay", saga="charge", data={}, done="PAID", refused="UNPAID"), name="box", done="ALL", refused="NONE"),
        read("stock", get("shop", "/stock", keeps={"left": list_of(text())}), done="STOCK", refused="NO_STOCK"),
        each("stock.left", step("count"), done="COUNTED", refused="NOT_COUNTED"),
        pivot("sale", post("shop", "/sale"), done="SALE_DONE", refused="NO_SALE"),
    ),
)  # fmt: skip
BOXES = {"boxes": [{"pieces": ["pen"]}, {"pieces": ["ink", "cap"]}]}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("undo pack[1][1]", ""), ("pack[0][1]", "item.pieces has 1 item"), ("pack[2][0]", "boxes has 2 items"),
        ("label[1]", ""), ("label[2]", "boxes has 2 items"), ("pay[1].hold", ""), ("pay[2].hold", "boxes has 2 items"),
        ("count[9]", ""),
    ],
)  # fmt: skip
def test_number_of_an_item_is_wrong_as_soon_as_the_list_is_known(name, problem):
    run = given(DEEP, BOXES, [CHARGE]).when(stock=refused()).run()  # what is left in stock is never known
    if problem:
        with pytest.raises(UnknownNameError, match=problem):
            assert name not in run.calls
    else:
        assert run.calls.count(name) == (name != "count[9]")
    with pytest.raises(UnknownNameError, match=r"'pay\[0\].hold'; this saga belongs to pay\[1\]"):
        assert "pay[0].hold" not in run.child("box", 1).child("pay").calls


PARCEL = Saga(
    name="parcel", version=1, initial="NEW", completed="DONE", compensated="BACK", data=DEEP.data, participants=(),
    steps=(sub("deep", data={"boxes": "boxes"}, done="DONE", refused="NOT_DONE", pivot=True),),
)  # fmt: skip


def test_list_of_a_reply_is_known_after_the_reply():
    run = given(PARCEL, BOXES, [CHARGE]).when(deep=given(DEEP).replying(stock={"left": ["ink"]})).run()
    assert "deep.count[0]" in run.calls
    with pytest.raises(UnknownNameError, match=r"stock.left has 1 item$"):
        assert "deep.count[1]" not in run.calls


def test_key_that_a_run_does_not_have_yet_is_no_wrong_name():
    with pytest.raises(KeyError, match=r"take\[1\]"):
        order(cart=refused()).effects["take[1]"]
