"""`saga verify` searches parents and children, and finds each of their guards that is taken out."""

from dataclasses import replace

import pytest

from machines import (
    Retry,
    at,
    boolean,
    compensatable,
    each,
    get,
    is_true,
    list_of,
    post,
    read,
    retriable,
    sub,
    text,
    together,
    wait,
)
from machines.registry import Registry
from machines.verify import Proofs, verify
from machines.verify.properties import Properties
from machines.verify.words import lines_of
from tests.unit.machines.tables import saga
from tests.unit.machines.verify.family_guards import GUARDS
from tests.unit.machines.verify.written import passes, source_for

DATA = {"who": text(), "gift": boolean(), "lines": list_of(text())}
TWICE = Retry(attempts=2)


def hold(name, done=None, **columns):
    refused = f"NO_{name.upper()}"
    call, undo = post("shop", f"/{name}"), post("shop", f"/{name}/undo")
    return compensatable(name, call, undo=undo, done=done or name.upper(), refused=refused, retry=TWICE, **columns)


def order(*steps, **columns):
    return saga(*steps, data=DATA, **columns)


LOOK = read("look", get("shop", "/look"), done="SEEN", refused="NO_LOOK")
PAY = saga(hold("charge", "DONE"), name="payment", data={"who": text()})
TABLES = {
    "sub": [
        order(sub("pay", saga="payment", data={"who": "who"}, done="DONE", refused="NO_PAY"), participants=()),
        PAY,
    ],
    "waiting": [
        order(sub("pay", saga="payment", data={"who": "who"}, done="PAID", refused="NO_PAY"), hold("z", "DONE")),
        saga(
            wait("ok", signal="ok", within_s=60, done="OK", refused="NO_OK"),
            hold("charge", "DONE"),
            name="payment",
            data={"who": text()},
        ),
    ],
    "together": [order(together(hold("a"), hold("b"), name="both", done="DONE", refused="NOT_BOTH"))],
    "no_items": [
        saga(
            each("lines", hold("take"), done="DONE", refused="NOT_TAKEN"),
            data=DATA | {"lines": list_of(text(), low=0)},
        )
    ],
    "limited": [order(each("lines", hold("take"), at_most=5, done="DONE", refused="NOT_TAKEN"))],
    "retriable": [order(LOOK, together(hold("a"), name="one", done="DONE"))],
    "empty": [
        saga(
            LOOK,
            each("lines", retriable("take", post("shop", "/take"), done="TAKEN", retry=TWICE), done="ALL"),
            together(retriable("a", post("shop", "/a"), done="A", retry=TWICE), name="both", done="DONE"),
            data=DATA | {"lines": list_of(text(), low=0)},
        )
    ],
    "born": [order(each("lines", hold("take", when=is_true("gift")), done="DONE", refused="NOT_TAKEN"))],
}


def result(name, **options):
    return verify(TABLES[name][0], registry=Registry(TABLES[name]), **options)


@pytest.mark.parametrize("name", TABLES)
def test_families_with_every_guard_have_no_fault(name):
    found = result(name)
    assert (found.findings, found.complete, found.unreached) == ([], True, ())


@pytest.mark.parametrize("guard", GUARDS)
def test_verify_finds_a_guard_of_families_that_is_taken_out_and_writes_its_test(guard):
    tables = Registry(TABLES[GUARDS[guard].table])
    with pytest.MonkeyPatch.context() as patch:
        GUARDS[guard].remove(patch)
        found = result(GUARDS[guard].table, most_states=60_000)
        assert found.faults
        assert found.faults[0].broken != "no error", found.faults[0].why
        assert len(found.faults[0].path) <= 10
        source = source_for(found, tables)
        assert not passes(source, tables)
    assert passes(source, tables)


def test_counterexample_names_the_children_and_what_they_do(monkeypatch):
    GUARDS["only_a_person_starts_a_branch_again"].remove(monkeypatch)
    (fault,) = result("together").faults
    assert lines_of(fault) == [
        "   1. A person requests: execute.",
        "   2. Child 1 of both is compensated.",
        "   3. The saga is stored in STARTED, with child 1 of both again and released.",
    ]


NESTED = [
    order(each("lines", sub("pay", saga="payment", data={"who": "who"}, done="PAID", refused="NO_PAY"), done="DONE",
               refused="NOT_ALL"), participants=()),
    PAY,
]  # fmt: skip


def test_child_of_a_child_is_searched_first():
    registry = Registry(NESTED)
    assert [str(table) for table, _ in Proofs(registry).order(NESTED[0])] == ["payment v1", "sale.pay v1", "sale v1"]
    found = verify(NESTED[0], registry=registry)
    assert (found.findings, found.complete, found.unreached) == ([], True, ())


def children_in(name, monkeypatch, steps):
    seen = set()
    of = Properties.of
    monkeypatch.setattr(Properties, "of", lambda properties, world: seen.add(len(world.kin)) or of(properties, world))
    assert not verify(steps[0], registry=Registry(steps)).faults
    return seen


def test_each_goes_through_no_item_and_through_two(monkeypatch):
    some = order(LOOK, each("lines", hold("take"), done="DONE", refused="NOT_TAKEN"))
    assert children_in("sale", monkeypatch, [replace(some, data=DATA | {"lines": list_of(text(), low=0)})]) == {0, 2}


def test_list_of_a_reply_has_no_item_one_and_two(monkeypatch):
    cart = get("shop", "/cart", keeps={"lines": at("cart.lines", list_of(text()))})
    table = saga(read("cart", cart, done="CART", refused="NO_CART"),
                 each("cart.lines", hold("take"), done="DONE", refused="NOT_TAKEN"))  # fmt: skip
    assert children_in("sale", monkeypatch, [table]) == {0, 1, 2}


def test_third_branch_ends_at_once_while_each_two_run(monkeypatch):
    table = order(together(hold("a"), hold("b"), hold("c"), name="all", done="DONE", refused="NOT_ALL"))
    assert children_in("sale", monkeypatch, [table]) == {0, 3}
