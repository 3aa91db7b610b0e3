"""The checks of together() and each(), and the tables that are derived from them."""

from typing import Any

import pytest

from machines import (
    Saga,
    TableError,
    branch,
    compensatable,
    each,
    each_item,
    integer,
    list_of,
    maybe,
    object_of,
    optional,
    pause,
    pivot,
    post,
    retriable,
    secret,
    sub,
    text,
    together,
    wait,
)  # fmt: skip
from machines.branches import data_of_branch
from machines.conditions import is_true
from machines.fields import boolean
from machines.outcomes import SUCCEEDED
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
    registry = Registry([order(both)])
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
        (
            each("lines", taken("a"), taken("b"), **GROUP),
            "step each: each() has several steps and no name; write name=",
        ),
        (each("customer", taken(), **GROUP), "'customer' is of type text, and each() takes a list"),
        (each("liens", taken(), **GROUP), "'liens' is no field of data"),
        (each(7, taken(), **GROUP), "its list"),
        (each("lines", taken(sku="item.sko"), **GROUP), "'item.sko' names no field; did you mean 'sku'?"),
        (together(taken(sku="item.sku"), name="x", **GROUP), "'item.sku' is known within each() and each_item() alone"),
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


TWO = (branch("one", taken("a"), taken("b")), taken("c"))


@pytest.mark.parametrize(
    ("steps", "remedy"),
    [
        ((together(*TWO, name="x", **GROUP), taken("ship", of="c.id")), "'c.id' names no value here; write 'x.c.id'"),
        ((together(*TWO, name="x", **GROUP), taken("ship", of="a.id")), "write 'x.one.a.id'"),
        ((together(*TWO, name="x", **GROUP), taken("ship", of="x.one.id")), "did you mean 'x.one."),
        ((together(*TWO, name="x", **GROUP), taken("ship", of="x.c.c.id")), "did you mean 'x.c.id'? or add the field"),
        ((together(*TWO, name="x", **GROUP), taken("ship", of="x.c.ident")), "did you mean 'x.c.id'?"),
        ((each("lines", *TWO[0].steps, name="x", **GROUP), taken("ship", of="a.id")), "write 'x.*.a.id'"),
        ((together(branch("one", taken("a"), taken("b", of="x.one.a.id")), name="x", **GROUP),), "write 'a.id'"),
        ((together(branch("one", taken("a"), taken("b", of="one.a.id")), name="x", **GROUP),), "write 'a.id'"),
        (
            (together(taken("a"), taken("b", of="a.id"), name="x", **GROUP),),
            "name a step before the group, as a branch sees no other one, or add",
        ),
        ((taken("a"), taken("b", of="x.a.id")), "'x.a.id' names no value here; write 'a.id'"),
    ],
)
def test_wrong_reference_to_a_step_of_a_branch_names_the_right_one(steps, remedy):
    assert remedy in problems(*steps)


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
    assert "'take.*.id' may be missing in an item; write each_item('take.*', maybe('item.id'))" in found


def test_the_result_of_a_group_that_may_be_skipped_needs_a_fallback():
    papers = together(taken("label"), name="papers", when=is_true("gift"), **GROUP)
    assert "may be missing" in problems(papers, taken("ship", a="papers.label.id"))
    Registry([order(papers, taken("ship", a=maybe("papers.label.id")))])


def test_a_branch_outside_of_a_group_is_refused():
    assert "steps= holds the branch 'bill'; a branch stands in together()" in problems(
        branch("bill", taken()), taken("b")
    )


def wrapped() -> Any:
    return compensatable(
        "wrap", post("stock", "/wrap", keeps={"id": text()}), undo=post("stock", "/undo"),
        done="WRAPPED", refused="NO_WRAP", when=is_true("gift"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("group", "reference"),
    [
        (together(wrapped(), taken("label"), name="papers", **GROUP), "papers.wrap.id"),
        (together(branch("bill", taken(), wrapped()), name="papers", **GROUP), "papers.bill.wrap.id"),
        (
            together(
                branch("ask", wait("answer", signal="answer", brings={"id": text()}, within_s=9.0, over=SUCCEEDED,
                    done="HEARD", refused="UNHEARD"), taken()),
                name="papers", **GROUP,
            ), "papers.ask.answer.id",
        ),
    ],
)  # fmt: skip
def test_the_reply_of_a_step_that_a_branch_may_lack_needs_a_fallback(group, reference):
    assert f"{reference!r} may be missing" in problems(group, taken("ship", a=reference))
    Registry([order(group, taken("ship", a=maybe(reference)))])


def test_items_that_may_skip_their_step_are_listed_without_its_reply():
    items = each("lines", wrapped(), **GROUP)
    assert "'wrap.*.id' may be missing in an item" in problems(items, taken("ship", ids="wrap.*.id"))
    Registry([order(items, taken("ship", ids=each_item("wrap.*", {"id": maybe("item.id")})))])


def test_a_branch_needs_the_fields_of_an_earlier_reply_that_it_refers_to():
    hold = compensatable("hold", post("stock", "/hold"), undo=post("stock", "/undo"), done="HELD", refused="NOT_HELD")
    inner = branch("inner", each("hold.lines", taken(a="hold.id", b="item.id"), name="deep", done="D", refused="ND"))
    shadowed = branch("own", taken("hold2"), taken("other", a="hold2.never"))
    table = order(hold, together(inner, shadowed, name="papers", **GROUP))
    assert table.needed_fields["hold"] == {"id", "lines"}


def test_a_secret_item_stays_secret_in_its_branch():
    data = DATA | {"cards": secret(list_of({"number": text()}))}
    registry = Registry([order(each("cards", taken(n="item.number"), **GROUP), data=data)])
    assert registry.get("order.take", 2).data["item"].secret


def test_a_branch_can_use_a_group_of_which_a_branch_keeps_nothing():
    silent = compensatable("b", post("stock", "/b"), undo=post("stock", "/undo"), done="B_DONE", refused="NO_B")
    both = together(taken("a"), silent, name="both", done="BOTH", refused="NOT_BOTH")
    registry = Registry([order(both, each("lines", taken(of="both.a.id"), **GROUP))])
    assert list(registry.get("order.take", 2).data) == ["item", "index", "both"]
    assert "'both.b.id' names no field" in problems(both, each("lines", taken(of="both.b.id"), **GROUP))


def test_a_branch_can_use_a_reply_of_any_depth():
    deep = text()
    for _ in range(5):
        deep = object_of({"in": deep})
    step = compensatable(
        "a", post("stock", "/a", keeps={"deep": deep}), undo=post("stock", "/undo"), done="A", refused="NO_A"
    )
    both = together(branch("b", step, taken("c")), name="both", done="BOTH", refused="NOT_BOTH")
    Registry([order(both, each("lines", taken(of="both.b.a.deep.in.in.in.in.in"), **GROUP))])


def test_a_reference_to_a_child_that_keeps_nothing_is_refused_by_its_name():
    child = Saga(
        name="other", version=1, initial="NEW", completed="take_DONE", compensated="OFF", steps=(taken(),),
        data=DATA, participants=("stock",),
    )  # fmt: skip
    starts = sub("other", data={"customer": "customer", "lines": "lines", "gift": "gift"}, done="SUB", refused="NO_SUB")
    with pytest.raises(BadTablesError, match=r"step take: 'other\.id' names no field; add the field"):
        Registry([child, order(starts, each("lines", taken(of="other.id"), **GROUP))])


def test_a_name_as_long_as_a_name_may_be_can_name_a_branch():
    name = "b" * 64
    Registry([order(together(branch(name, taken()), name="both", **GROUP))])


def test_a_step_of_a_branch_may_have_the_name_of_a_field_of_data():
    data = DATA | {"label": text()}
    registry = Registry(
        [order(together(taken("label", how="label"), taken("bill"), name="papers", **GROUP), data=data)]
    )
    assert registry.get("order.papers.label", 2).data == {"label": data["label"]}


def test_a_field_of_data_keeps_its_meaning_beside_an_earlier_step_of_its_name():
    data = DATA | {"ask": integer()}
    registry = Registry([order(taken("ask"), each("lines", taken(of="ask"), **GROUP), data=data)])
    table = registry.get("order.take", 2)
    assert table.data["ask"] == data["ask"]
    assert data_of_branch(table, {"ask": 7}, {"ask": {"id": "a"}}) == {"ask": 7}


def test_a_reply_keeps_its_meaning_beside_a_field_of_data_of_its_name():
    registry = Registry(
        [order(taken("ask"), each("lines", taken(of="ask.id"), **GROUP), data=DATA | {"ask": integer()})]
    )
    table = registry.get("order.take", 2)
    assert table.data["ask"].items is not None
    assert data_of_branch(table, {"ask": 7}, {"ask": {"id": "a"}}) == {"ask": {"id": "a"}}
    assert data_of_branch(table, {"ask": 7}, {}) == {}  # the step was resolved without a reply


def test_a_reference_to_a_pause_is_refused_in_a_branch():
    breath = pause("breathe", for_s=1, done="BREATHED", refused="NO_AIR")
    found = problems(taken("first"), breath, each("lines", taken(of="breathe.id"), **GROUP))
    assert "'breathe.id' names no field" in found


def test_a_branch_that_needs_one_name_for_two_values_is_refused():
    steps = taken("ask"), each("lines", taken(of="ask.id", at="ask"), **GROUP)
    found = problems(*steps, data=DATA | {"ask": integer()})
    assert "step take: branch take refers to 'ask' of data and to the reply of step ask; rename one of them" in found


def test_a_branch_within_branches_knows_the_item_of_the_each_around_them():
    inner = together(branch("deep", together(taken("leaf", sku="item.sku"), name="low", done="L", refused="NL")),
                     name="high", done="H", refused="NH")  # fmt: skip
    registry = Registry([order(each("lines", inner, name="one", **GROUP))])
    assert "item" in registry.get("order.one.high.deep.low.leaf", 2).data


def test_a_value_of_a_signal_that_may_not_arrive_may_be_missing_in_a_branch():
    asked = wait(
        "ask",
        signal="answer",
        within_s=60,
        brings={"who": text()},
        over=SUCCEEDED,
        done="ASKED",
        refused="NOT_ASKED",
    )
    both = together(taken("leaf", who="ask.who"), name="both", **GROUP)
    assert "'ask.who' may be missing" in problems(taken("first"), asked, both)
    Registry([order(taken("first"), asked, together(taken("leaf", who=maybe("ask.who")), name="both", **GROUP))])


@pytest.mark.parametrize(("reference", "what"), [("hold.*.id", "a list"), ("hold.0", "an object")])
def test_an_order_that_people_search_by_is_one_value(reference, what):
    hold = each("lines", taken("hold"), **GROUP)
    assert f"is or holds {what}; name a field that holds one value" in problems(hold, order=reference)
    assert Registry([order(hold, order="hold.0.id")])


@pytest.mark.parametrize(
    ("steps", "data", "problem"),
    [
        (
            (each("lines", taken(n="index"), **GROUP),),
            {"index": text()},
            "its index 'index', as a field of data is called",
        ),
        (
            (each("lines", taken(n="item.sku"), **GROUP),),
            {"item": text()},
            "its item 'item', as a field of data is called",
        ),
        ((taken("item"), each("lines", taken(n="item.sku"), **GROUP)), {}, "its item 'item', as a step is called"),
    ],
)
def test_a_name_that_each_hides_is_refused(steps, data, problem):
    assert f"each() calls {problem}; rename the" in problems(*steps, data=DATA | data)
    Registry([order(each("lines", taken(), **GROUP), data=DATA | data)])  # the branch does not use the name


def test_a_group_is_no_list_of_another_group():
    first = each("lines", taken("a"), done="ALL_A", refused="NO_A")
    found = problems(first, each("a", taken("b"), **GROUP))
    assert "'a' is a step, and each() takes a list; name a list of its reply" in found
    Registry([order(first, each("a.*.id", taken("b", n="item"), **GROUP))])
