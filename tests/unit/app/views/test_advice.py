"""The sentences of an advice, without a database."""

from types import SimpleNamespace

import pytest

from app.views import advice
from machines import Saga, compensatable, get, pivot, post, read, retriable, text

SHOP = Saga(
    name="shop", version=1, initial="ASKED", completed="TOLD", compensated="BACK", data={"who": text()},
    participants=("shop",),
    steps=(
        compensatable("room", post("shop", "/r"), undo=post("shop", "/r/undo"), done="HELD", refused="FULL"),
        read("stock", get("shop", "/stock"), done="STOCKED", refused="EMPTY"),
        read("price", get("shop", "/price/{room.id}"), done="PRICED", refused="DEAR"),
        retriable("tell", post("shop", "/tell"), done="TOLD"),
    ),
)  # fmt: skip
ENDS = {"stock": {"refused": 20}, "price": {"refused": 30}}


@pytest.fixture
def read_with(monkeypatch):
    """Return a function that gives the advice for so many sagas, with these ends of steps."""

    def advise(sagas, ends, **more):
        figures = {
            step.name: advice.Figures(step=step, reached=sagas, **ends.get(step.name, {})) for step in SHOP.steps
        }
        read = SimpleNamespace(journals=[()] * sagas, first=None, last=None, others=0, cut=False, **more)
        monkeypatch.setattr(advice, "recent_journals", lambda *_, **__: read)
        monkeypatch.setattr(advice, "figures", lambda *_: figures)
        return advice.advise(SHOP, days=30, sagas=1_000)

    return advise


def test_read_that_saves_undos_is_named_and_its_references_are_kept(read_with):
    found = read_with(100, ENDS)
    assert found.first_read.step == "stock"  # price fails more often, and needs the reply of room
    assert found.first_read.order.steps == ("stock", "room", "price", "tell")
    lines = list(advice.advice_lines(found))
    assert "Read to ask first: stock; moved alone, 240 steps in 1,000 sagas would be undone, and 440 are now." in lines
    assert lines[0] == "Order: stock, room, price, tell."


def test_step_that_gets_stuck_undoes_nothing(read_with):
    found = read_with(100, ENDS | {"tell": {"gave_up": 40}})
    assert found.present.undos == read_with(100, ENDS).present.undos


def test_pivot_makes_a_saga_go_back_only_by_a_refusal():
    pay = pivot("pay", post("shop", "/pay"), done="PAID", refused="NO_PAY")
    known = advice.Figures(step=pay, reached=100, refused=10, gave_up=40)
    assert (known.odds, known.odds_in_order.back) == (0.5, 0.1)


def test_gain_that_is_too_small_is_not_named(read_with):
    found = read_with(1_000, {"stock": {"refused": 1}, "price": {"refused": 300}})
    assert (found.better, found.first_read) == (None, None)
    assert "no order that references allow compensates at least 5% less" in next(iter(advice.advice_lines(found)))


def test_steps_that_were_never_undone_need_no_other_order(read_with):
    assert "no step was undone" in next(iter(advice.advice_lines(read_with(100, {}))))


def test_advice_on_limits_names_its_step(read_with):
    lines = list(advice.advice_lines(read_with(100, {"room": {"call_ms": [4_900.0] * 100}})))
    assert lines[-1].startswith("room: timeout_s=5 is close to what it takes")


def test_too_few_sagas_give_no_advice_on_anything(read_with):
    found = read_with(advice.FEWEST - 1, ENDS | {"room": {"call_ms": [4_900.0] * 100}})
    assert (found.better, found.first_read, found.limits) == (None, None, {})
    assert list(advice.advice_lines(found)) == ["Too few sagas to say anything: 29 of at least 30."]
