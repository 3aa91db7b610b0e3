"""The checks of together() and each(), and the tables that are derived from them."""

from typing import Any

import pytest

from machines import (
    Saga,
    TableError,
    branch,
    compensatable,
    each,
    integer,
    list_of,
    maybe,
    optional,
    pivot,
    post,
    retriable,
    secret,
    sub,
    text,
    together,
)  # fmt: skip
from machines.conditions import is_true
from machines.fields import boolean
from machines.registry import BadTablesError, Registry, UnknownSagaError

DATA = {"customer": text(), "lines": list_of({"sku": text()}), "gift": boolean()}
GROUP = {"done": "ALL_DONE", "refused": "NOT_ALL_DONE"}


def taken(name: str = "take", **sent: Any) -> Any:
    return compensatable(
        name, post("stock", "/take", keeps={"id": text(), "box.size": integer()}, **sent), undo=post("stock", "/undo"),
        done=f"{name}_DONE", refused=f"{name}_REFUSED",
    )  # fmt: skip


def order(*steps: Any, **columns: Any) -> Saga:
    last = getattr(steps[-1], "done", "ALL_DONE")
    return Saga(
        name="order", version=2, initial="NEW", completed=last, compensated="OFF", steps=steps,
        **({"data": DATA, "participants": ("stock",)} | columns),
    )  # fmt: skip


def problems(*steps: Any, **columns: Any) -> str:
    with pytest.raises((TableError, BadTablesError)) as refused:
        Registry([order(*steps, **columns)])
    return "\n".join(refused.value.problems)


def test_each_branch_gets_a_table_of_its_own():
    both = together(taken("label"), branch("bill", taken("invoice"), taken("archive")), name="papers", **GROUP)
    registry = (
        Registry([order(each("lines", taken(sku="item.sku", at="index", who="customer"), **GROUP), both)])
        if False
        else Registry([order(both)])
    )
    assert [str(table) for table in registry] == ["order v2", "order.papers.label v2", "order.papers.bill v2"]
    bill = registry.get("order.papers.bill", 2)
    assert (bill.initial, bill.completed, bill.compensated) == ("BEGIN_BILL", "archive_DONE", "BILL_UNDONE")


def test_the_data_of_a_branch_is_what_its_steps_refer_to():
    before = compensatable(
        "ask",
        post("stock", "/ask", keeps={"a.b": text()}),
        undo=post("stock", "/undo"),
        done="ASKED",
        refused="NOT_ASKED",
    )
    registry = Registry(
        [order(before, each("lines", taken(sku="item.sku", n="index", b="ask.a.b", w="customer"), **GROUP))]
    )
    table = registry.get("order.take", 2)
    assert list(table.data) == ["item", "index", "ask", "customer"]
    assert table.data["item"].items == DATA["lines"].items


def test_a_branch_is_no_saga_that_can_be_started():
    registry = Registry([order(together(taken("a"), taken("b"), **GROUP))])
    assert registry.names == ["order"]
    assert registry.newest("order.a_and_b.a").is_branch
    with pytest.raises(UnknownSagaError, match="is a branch"):
        registry.latest("order.a_and_b.a")


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (together(**GROUP, name="none"), "it has no branches; give it at least one step"),
        (together(branch("a"), **GROUP), "branch 'a' has no steps"),
        (together(taken("a"), branch("a", taken("b")), name="x", **GROUP), "branch 'a' is named twice"),
        (together(branch("a.b", taken("a")), **GROUP, name="x"), "branch 'a.b' is not a name"),
        (together(branch("a", "take"), **GROUP, name="x"), "branch 'a' holds 'take'"),
        (each("lines", taken(), at_most=0, **GROUP), "at_most=0 is out of bounds"),
        (each("customer", taken(), **GROUP), "'customer' is of type text, and each() takes a list"),
        (each("liens", taken(), **GROUP), "'liens' is no field of data"),
        (each(7, taken(), **GROUP), "its list"),
        (each("lines", taken(sku="item.sko"), **GROUP), "'item.sko' names no field; did you mean 'sku'?"),
        (together(taken(sku="item.sku"), name="x", **GROUP), "'item.sku' is known within each_item() alone"),
        (together(taken(sku="custmer"), name="x", **GROUP), "'custmer' is no field of data"),
        (
            together(pivot("pay", post("stock", "/pay"), done="PAID", refused="NO"), name="x", **GROUP),
            "branch pay has the pivot pay, so the group cannot be compensated; move that step behind the group",
        ),
        (
            together(retriable("mail", post("stock", "/mail"), done="MAILED"), name="x", **GROUP),
            "branch mail has the retriable mail, so the group cannot be compensated",
        ),
        (
            together(compensatable("a", post("bank", "/a"), undo=post("bank", "/b"), done="A", refused="B"), **GROUP),
            "participant 'bank' is not registered",
        ),
        (together(taken(sku=7), name="x", **GROUP), "step take: call"),
        (together(sub("order", **GROUP), name="x", **GROUP), "which would start 'order' again without an end"),
    ],
)
def test_a_group_that_cannot_work_is_refused(step, problem):
    columns = {} if "'stock'" in str(step) else {"participants": ()}
    assert problem in problems(step, **columns)


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("take.*.id", ""),
        ("take.*.box.size", ""),
        ("take.*.ident", "names no field"),
        ("take.id", "names 'id' of a list"),
        ("take.0.id", "may be missing"),
    ],
)
def test_a_later_step_can_use_what_the_items_keep(reference, problem):
    steps = each("lines", taken(), **GROUP), taken("ship", ids=reference)
    if problem:
        assert problem in problems(*steps)
    else:
        Registry([order(*steps)])


def test_a_later_step_can_use_what_the_branches_keep():
    papers = together(taken("label"), branch("bill", taken("invoice"), taken("archive")), name="papers", **GROUP)
    Registry([order(papers, taken("ship", a="papers.label.id", b="papers.bill.archive.box.size"))])
    assert "names no field" in problems(papers, taken("ship", a="papers.invoice.id"))


def test_an_optional_value_of_an_item_makes_no_list():
    keeps = {"id": optional(text())}
    takes = compensatable(
        "take", post("stock", "/take", keeps=keeps), undo=post("stock", "/undo"), done="TAKEN", refused="NO"
    )
    found = problems(each("lines", takes, **GROUP), taken("ship", ids="take.*.id"))
    assert "'take.*.id' may be missing in an item; take optional() away" in found


def test_the_result_of_a_group_that_may_be_skipped_needs_a_fallback():
    papers = together(taken("label"), name="papers", when=is_true("gift"), **GROUP)
    assert "may be missing" in problems(papers, taken("ship", a="papers.label.id"))
    Registry([order(papers, taken("ship", a=maybe("papers.label.id")))])


def test_a_secret_item_stays_secret_in_its_branch():
    data = DATA | {"cards": secret(list_of({"number": text()}))}
    registry = Registry([order(each("cards", taken(n="item.number"), **GROUP), data=data)])
    assert registry.get("order.take", 2).data["item"].secret
