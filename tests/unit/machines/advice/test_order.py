"""The order of steps that would compensate least."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machines import Saga, compensatable, get, pause, pivot, post, read, retriable, text
from machines.advice.order import LARGEST, Odds, best_order, expected_undos, legal, needs, with_first


def reserve(name, **body):
    return compensatable(
        name, post("shop", f"/{name}", **body), undo=post("shop", f"/{name}/undo"), done=f"{name}_DONE",
        refused=f"{name}_NOT",
    )  # fmt: skip


def ask(name, path=""):
    return read(name, get("shop", path or f"/{name}"), done=f"{name}_DONE", refused=f"{name}_NOT")


def table(*steps, end=True, **more):
    last = (retriable("tell", post("shop", "/tell"), done="TOLD"),) if end else ()
    completed = "TOLD" if end else steps[-1].done
    return Saga(
        name="shop", version=1, initial="ASKED", completed=completed, compensated="BACK", data={"who": text()},
        participants=("shop",), steps=(*steps, *last), **more,
    )  # fmt: skip


ODDS = {"tell": Odds(0.0)}


def test_step_that_is_refused_often_comes_first():
    shop = table(reserve("room"), reserve("seat"))
    best = best_order(shop, {"room": Odds(0.01), "seat": Odds(0.2)} | ODDS)
    assert best.steps == ("seat", "room", "tell")
    assert best.undos == pytest.approx(0.8 * 0.01)


def test_reference_keeps_a_step_behind_the_step_that_it_needs():
    shop = table(reserve("room"), reserve("seat", room="room.id"))
    assert best_order(shop, {"room": Odds(0.01), "seat": Odds(0.2)} | ODDS).steps == ("room", "seat", "tell")
    shop = table(reserve("room"), ask("price", "/price/{room.id}"), reserve("seat"))
    assert needs(shop.steps[1]) == {"room"}
    assert best_order(shop, {"room": Odds(0.01), "price": Odds(0.01), "seat": Odds(0.5)} | ODDS).steps == (
        "seat", "room", "price", "tell",
    )  # fmt: skip


def test_pauses_the_pivot_and_what_follows_keep_their_places():
    shop = table(
        reserve("room"), reserve("seat"), pause("rest", for_s=5, done="RESTED", refused="STOPPED"), reserve("car"),
        pivot("pay", post("shop", "/pay"), done="PAID", refused="POOR"),
    )  # fmt: skip
    odds = {"room": Odds(0.0), "seat": Odds(0.1), "rest": Odds(0.0), "car": Odds(0.5), "pay": Odds(0.9)}
    assert best_order(shop, odds | ODDS).steps == ("seat", "room", "rest", "car", "pay", "tell")


def test_last_step_without_a_pivot_may_change_and_stays_legal():
    shop = table(reserve("room"), reserve("seat"), end=False)
    best = best_order(shop, {"room": Odds(0.0), "seat": Odds(0.3)})
    assert best.steps == ("seat", "room")
    assert legal(shop, best.steps)


def test_order_that_the_check_refuses_is_not_named():
    shop = table(ask("price"), reserve("room", price="price.amount"))
    assert legal(shop, ("price", "room", "tell"))
    assert not legal(shop, ("room", "price", "tell"))
    assert not legal(shop, ("price", "tell", "room"))


def test_equal_odds_keep_the_order_of_the_table():
    shop = table(*(reserve(f"s{number}") for number in range(5)))
    even = {f"s{number}": Odds(0.1) for number in range(5)} | ODDS
    assert best_order(shop, even).steps == tuple(step.name for step in shop.steps)
    none = dict.fromkeys(even, Odds(0.0))
    assert best_order(shop, none).steps == tuple(step.name for step in shop.steps)


def test_more_steps_than_can_be_searched_keep_their_order():
    shop = table(*(reserve(f"s{number}") for number in range(LARGEST + 1)))
    odds = {f"s{number}": Odds(number / 100) for number in range(LARGEST + 1)} | ODDS
    assert best_order(shop, odds).steps == tuple(step.name for step in shop.steps)


def test_read_comes_as_early_as_its_references_allow():
    shop = table(reserve("room"), ask("price", "/price/{room.id}"), reserve("seat"), ask("stock"))
    assert with_first(shop, "stock") == ("stock", "room", "price", "seat", "tell")
    assert with_first(shop, "price") == ("room", "price", "seat", "stock", "tell")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_best_order_is_the_best_of_all_orders(data):
    count = data.draw(st.integers(1, 5))
    steps, odds = [], dict(ODDS)
    for number in range(count):
        before = data.draw(st.sampled_from([None, *[each.name for each in steps]]))
        make = data.draw(st.sampled_from(["read", "reserve"]))
        name = f"s{number}"
        step = (
            ask(name, f"/x/{{{before}.id}}" if before else "")
            if make == "read"
            else (reserve(name, **({"x": f"{before}.id"} if before else {})))
        )
        steps.append(step)
        odds[name] = Odds(
            data.draw(st.sampled_from([0.0, 0.01, 0.1, 0.3, 0.9])), data.draw(st.sampled_from([1.0, 0.5]))
        )
    shop = table(*steps)
    every = [
        expected_undos([*order, shop.steps[-1]], odds)
        for order in permutations(steps)
        if all(not (needs(step) & {later.name for later in order[place:]}) for place, step in enumerate(order))
    ]
    assert best_order(shop, odds).undos == pytest.approx(min(every))
    assert legal(shop, best_order(shop, odds).steps)


@pytest.mark.parametrize("back", [0.0, 0.3])
def test_skipped_step_has_no_undo(back):
    """Half of the sagas try the meal. Counted over all four ways of a saga, as a journal would show them."""
    shop = table(reserve("room"), reserve("meal"), reserve("seat"))
    odds = {"room": Odds(0.1), "meal": Odds(back, tried=0.5), "seat": Odds(0.2)} | ODDS
    after_room = 0.5 * (back * 1 + (1 - back) * 0.2 * 2) + 0.5 * 0.2 * 1
    assert expected_undos(shop.steps, odds) == pytest.approx(0.9 * after_room)


def test_step_that_ends_each_saga_adds_no_undo():
    shop = table(reserve("room"), reserve("seat"), reserve("meal"))
    odds = {"room": Odds(0.0), "seat": Odds(1.0), "meal": Odds(0.5)} | ODDS
    assert expected_undos(shop.steps, odds) == 1
