"""The rules for title=, titles= and amount=. They are words for people, so they may change under a running saga."""

import pytest

from machines import paid, taken
from machines.amounts import amount_text
from machines.branches import branch_tables
from machines.branching import each
from machines.call import post
from machines.comparison import Effect, compare
from machines.fields import amount, integer, list_of, object_of, secret, text
from machines.keeps import at
from tests.unit.machines.tables import DO, hold, look, saga, sell, tell

ID = {"client_id": integer()}
PRICED = ID | {"price": amount(), "note": object_of({"a": text()}), "pin": secret(integer())}


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"title": 5}, "title= 5 is no text; write a name in quotes"),
        ({"title": "two\nlines"}, "title= 'two\\nlines' is no title; write one line of 60 characters at most"),
        ({"title": " edge"}, "title= ' edge' is no title; write one line of 60 characters at most"),
        ({"title": "\N{RIGHT-TO-LEFT OVERRIDE}evil"}, "title= '\\u202eevil' is no title; write one line of 60"),
        ({"title": "x" * 61}, f"title= '{'x' * 56}… is no title; write one line of 60 characters at most"),
        ({"titles": ("DONE",)}, "titles= is a tuple, no dict; write {'STATE': 'in plain words'}"),
        ({"titles": {"DONE": None}}, "the title of 'DONE' None is no text; write a name in quotes"),
        ({"titles": {"DON": "done"}}, "titles= names 'DON', which is no state; did you mean 'DONE'? or take it out"),
    ],
)
def test_a_bad_title_of_a_table_is_refused(refusal, columns, problem):
    assert refusal(look(), **columns).startswith(f"sale v1: {problem}")


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"title": ["pay"]}, "title= a list is no text; write a name in quotes"),
        ({"amount": "price"}, "amount= is 'price'; write taken('price') or paid('price')"),
        ({"amount": taken()}, "amount: taken() lacks reference; it has reference"),
        ({"amount": taken(5)}, "amount= 5 is no text; write a name in quotes"),
        (
            {"amount": taken("prize")},
            "amount=taken(prize): 'prize' is no field of data; did you mean 'price'? or add it to data=, or write",
        ),
        ({"amount": taken("price", "euro")}, "amount= has the currency 'euro', no code of three capitals"),
        ({"amount": taken("price", None)}, "amount= has the currency None; write its code, such as 'EUR'"),
        ({"amount": taken("note")}, "amount=taken(note): 'note' is an object, no amount; name a number"),
        (
            {"amount": paid("pin")},
            "amount=paid(pin): 'pin' is secret, and pages show it; name another field, or leave amount= out",
        ),
        (
            {"amount": taken("tell.fee")},
            "amount=taken(tell.fee): 'tell.fee' refers to no earlier step; move step tell up",
        ),
    ],
)
def test_a_bad_title_or_amount_of_a_step_is_refused(refusal, columns, problem):
    assert refusal(sell(done="SOLD", **columns), tell(), data=PRICED).startswith(f"sale v1: step sell: {problem}")


def test_an_amount_of_a_read_is_refused_because_it_moves_no_money(refusal):
    problem = "a read moves no money, so amount= would be ignored; drop it"
    assert refusal(look(amount=taken("price")), data=PRICED) == f"sale v1: step look: {problem}"


def test_titles_may_name_states_that_are_derived_from_a_step():
    assert saga(hold(), titles={"STUCK_HOLD": "nobody knows"}).titles["STUCK_HOLD"] == "nobody knows"


def test_titles_and_amounts_are_wording_so_running_sagas_keep_their_table():
    plain = saga(sell(), data=PRICED)
    titled = saga(sell(title="Sell", amount=taken("price")), data=PRICED, title="Sale", titles={"DONE": "sold"})
    comparison = compare(plain, titled)
    assert (titled.digest, titled.content) == (plain.digest, plain.content)
    assert comparison.effect is Effect.WORDING
    assert {each.text for each in comparison.differences} == {
        "step 'sell': amount was nothing and is taken(\"price\")",
        "step 'sell': title was nothing and is Sell",
        "title was nothing and is Sale",
        'titles was nothing and is {"DONE": "sold"}',
    }


def test_titles_and_amounts_of_a_branch_are_wording_too():
    def order(**columns):
        call = post("shop", "/do", sku="item.sku")
        inner = hold("pick", call=call, undo=post("shop", "/undo"), done="PICKED", refused="NOT_PICKED", **columns)
        lines = list_of({"sku": text(), "price": amount()})
        return saga(each("lines", inner, done="DONE", refused="NONE"), data={"lines": lines})

    plain, titled = order(), order(title="Pick", amount=taken("item.price"))
    assert [table.digest for table in branch_tables(plain)] == [table.digest for table in branch_tables(titled)]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (109.88, "109.88"),
        (100.5, "100.50"),
        (100, "100"),
        ("12.30", "12.30"),
        (1e-7, "0.0000001"),
        ("9" * 50, "9" * 39 + "…"),
    ],
)
def test_an_amount_is_written_as_people_write_it(value, words):
    assert amount_text(taken("pay.sum"), {}, {"pay": {"sum": value}}) == words


@pytest.mark.parametrize("reply", [{}, {"sum": None}, {"sum": True}, {"sum": [1]}, None, "text"])
def test_an_amount_that_nobody_knows_has_no_words(reply):
    assert amount_text(taken("pay.sum"), {}, {"pay": reply}) is None


def test_an_amount_may_be_of_the_own_reply_of_a_step():
    kept = post("shop", "/do", client_id="client_id", keeps={"fee": at("costs.fee", amount())})
    assert saga(sell(call=kept, amount=taken("sell.fee"))).steps[0].amount == taken("sell.fee")
    assert saga(sell(call=DO, amount=taken("sell.fee"))).steps[0].amount is not None
