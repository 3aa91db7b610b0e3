"""The checks of steps that start another saga."""

from typing import Any

import pytest

from machines.branching import sub
from machines.call import post
from machines.check import TableError
from machines.conditions import above
from machines.fields import Field, boolean, integer, money, optional, secret, text
from machines.keeps import at, header
from machines.registry import BadTablesError, Registry
from machines.saga import Saga
from machines.step import Step, compensatable, pivot, read

PAYS = sub("payment", data={"amount": "amount"}, done="SENT", refused="NO")


def payment(*steps: Step, participants: tuple[str, ...] = ("bank",), **columns: Any) -> Saga:
    keeps = {"id": text(), "card": secret(text())}
    takes = compensatable(
        "take", post("bank", "/", keeps=keeps), undo=post("bank", "/undo"), done="PAID", refused="DECLINED"
    )
    return Saga(
        name="payment", version=1, initial="ASKED", completed="PAID", compensated="UNPAID", participants=participants,
        steps=steps or (takes,), **({"data": {"amount": money()}} | columns),
    )  # fmt: skip


def order(*steps: Step, **columns: Any) -> Saga:
    participants = tuple({"shop" for step in steps if step.starts is None})
    return Saga(
        name="order", version=1, initial="NEW", completed="SENT", compensated="NOT_SENT", steps=steps,
        **({"data": {"amount": money()}, "participants": participants} | columns),
    )  # fmt: skip


def test_a_legal_pair_is_accepted():
    Registry([order(PAYS), payment()])


@pytest.mark.parametrize(
    ("step", "columns", "problem"),
    [
        (sub("pament", done="SENT", refused="NO"), {}, "it starts 'pament', which is no saga; did you mean 'payment'?"),
        (sub("payment", done="SENT", refused="NO"), {}, "data= lacks 'amount', which payment v1 needs; add it"),
        (
            sub("payment", data={"amount": "amount", "sum": "amount"}, done="SENT", refused="NO"), {},
            "data= has 'sum', which is no field of payment v1;",
        ),
        (
            PAYS, {"data": {"amount": boolean()}},
            "data= 'amount' is of type boolean, and payment v1 takes the type decimal; name another value",
        ),
        (
            PAYS, {"data": {"amount": secret(money())}},
            "data= 'amount' is secret, and payment v1 would show it; write secret() there",
        ),
        (
            sub("payment", data={"amount": "amount"}, keeps={"id": text()}, done="SENT", refused="NO"), {},
            "keeps= names 'id', and payment v1 has the steps take; write step.field",
        ),
        (
            sub(
                "payment", data={"amount": "amount"}, keeps={"card": at("take.card", text())},
                done="SENT", refused="NO",
            ), {},
            "keeps= 'take.card' is secret in payment v1; write secret() here, too",
        ),
    ],
)  # fmt: skip
def test_a_step_that_cannot_start_its_saga_is_refused(step, columns, problem):
    with pytest.raises(BadTablesError) as refused:
        Registry([order(step, **columns), payment()])
    assert f"order v1: step {step.name}: {problem}" in str(refused.value)


def test_a_saga_that_cannot_be_compensated_is_no_compensatable_step():
    final = payment(pivot("take", post("bank", "/"), done="PAID", refused="DECLINED"))
    with pytest.raises(
        BadTablesError, match=r"payment v1 has the pivot take, so it cannot be compensated; write pivot="
    ):
        Registry([order(PAYS), final])
    Registry([order(sub("payment", data={"amount": "amount"}, pivot=True, done="SENT", refused="NO")), final])


@pytest.mark.parametrize(
    ("kept", "problem"),
    [
        (
            at("take.idd", text()),
            "keeps= of payment v1: 'take.idd' is not kept of the reply to take; did you mean 'id'?",
        ),
        (at("take.id", integer()), "keeps= 'take.id' is of type text in payment v1, and not of type integer; write"),
        (at("take.id.x", text()), "keeps= of payment v1: 'take.id.x' names 'x' of a value of type text"),
    ],
)
def test_a_kept_value_that_the_child_never_has_is_refused(kept, problem):
    pays = sub("payment", data={"amount": "amount"}, keeps={"id": kept}, done="SENT", refused="NO")
    with pytest.raises(BadTablesError) as refused:
        Registry([order(pays), payment()])
    assert problem in str(refused.value)


def test_a_kept_reply_that_the_child_may_skip_is_optional():
    takes = compensatable(
        "take", post("bank", "/", keeps={"id": text()}), undo=post("bank", "/undo"), done="PAID", refused="DECLINED",
        when=above("amount", 10),
    )  # fmt: skip
    child = payment(takes)

    def parent(kept: Field) -> Saga:
        pays = sub("payment", data={"amount": "amount"}, keeps={"id": at("take.id", kept)}, done="SENT", refused="NO")
        return order(pays)

    with pytest.raises(BadTablesError, match=r"keeps= 'take.id' may be missing: payment v1 may skip step take; write"):
        Registry([parent(text()), child])
    Registry([parent(optional(text())), child])


def test_a_saga_that_starts_itself_is_refused():
    again = sub("again", saga="order", data={"amount": "amount"}, done="PAID", refused="DECLINED")
    with pytest.raises(BadTablesError, match="it starts 'payment', which would start 'order' again without an end"):
        Registry([order(PAYS), payment(again, participants=())])


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (sub("payment", data=["amount"], done="SENT", refused="NO"), "data= is a list, no dict"),
        (sub("payment", data={"amount": "sum"}, done="SENT", refused="NO"), "'sum' is no field of data"),
        (
            sub("payment", keeps={"id": header("Location")}, done="SENT", refused="NO"),
            "keeps= of 'id' is a header, and a saga answers with none",
        ),
        (sub("payment", done="SENT", refusd="NO"), "sub() has no refusd=, did you mean refused=?"),
        (sub(7, done="SENT", refused="NO"), "its name 7 is no text"),
    ],
)
def test_a_step_with_a_wrong_value_is_refused_by_its_table(step, problem):
    with pytest.raises(TableError) as refused:
        order(step) if isinstance(step, Step) else Saga(
            name="order", version=1, initial="NEW", completed="SENT", compensated="NOT_SENT", steps=(step,),
            data={"amount": money()}, participants=(),
        )  # fmt: skip
    assert any(problem in each for each in refused.value.problems)


def test_only_what_is_kept_of_a_child_can_be_referred_to():
    uses = compensatable(
        "send", post("shop", "/", paid="payment.take.id"), undo=post("shop", "/undo"), done="SENT", refused="NO"
    )
    pays = sub("payment", data={"amount": "amount"}, done="PAID_FOR", refused="NOT_PAID_FOR")
    with pytest.raises(TableError, match="is not kept of the reply to payment"):
        order(pays, uses)


def test_a_saga_is_no_participant():
    with pytest.raises(TableError, match="participant 'payment' is called by no step"):
        order(PAYS, participants=("payment",))


def test_an_optional_field_of_the_child_may_be_left_out():
    columns = {"amount": money(), "note": optional(text()), "times": optional(integer())}
    Registry([order(PAYS), payment(data=columns)])


def test_a_read_may_stand_before_a_child():
    asks = read("ask", post("shop", "/"), done="ASKED", refused="UNKNOWN")
    Registry([order(asks, PAYS), payment()])
