"""`saga verify` finds a call that can never be built, and names its step, its call and the function that raises."""

import pytest

from machines import (
    Retry,
    above,
    compensatable,
    computed,
    each,
    equal,
    get,
    integer,
    is_true,
    pivot,
    poll,
    post,
    read,
    retriable,
)
from machines.fields import list_of
from machines.registry import Registry
from machines.verify import verify
from machines.verify.words import lines_of
from tests.unit.machines.tables import saga
from tests.unit.machines.verify.written import passes, source_for

TWICE = Retry(attempts=2)
FAILED = "raises(client_id) failed: KeyError: 274"


def raises(number):
    raise KeyError(number)


BAD = computed(raises, "client_id")


def hold(**columns):
    usual = {"undo": post("shop", "/undo"), "done": "A", "refused": "NO_A", "retry": TWICE}
    return compensatable("a", post("shop", "/a"), **(usual | columns))


def sale(*steps, **columns):
    data = {"client_id": integer(low=1), "lines": list_of(integer())}
    return saga(*steps, pivot("b", post("shop", "/b"), done="DONE", refused="NO_B"), data=data, **columns)


TABLES = {
    "the undo of a (POST shop/undo)": sale(hold(undo=post("shop", "/undo", number=BAD))),
    "the probe of a (GET shop/a)": sale(hold(probe=get("shop", "/a", query={"number": BAD}))),
    "the poll of a (GET shop/a)": sale(
        hold(later=poll(get("shop", "/a", query={"number": BAD}), every_s=5, within_s=60))
    ),
    "the call of at_end= DONE (POST shop/end)": sale(at_end={"DONE": post("shop", "/end", number=BAD)}),
    "the call of at_end= CANCELLED (POST shop/end)": sale(at_end={"CANCELLED": post("shop", "/end", number=BAD)}),
}


@pytest.mark.parametrize("call", TABLES)
def test_verify_finds_a_call_that_cannot_be_built_and_writes_its_test(call):
    result = verify(TABLES[call])
    (fault,) = result.faults
    assert fault.broken == "can be sent"
    assert fault.why.startswith(f"{call} cannot be built: ")
    assert fault.why.endswith(FAILED)
    registry = Registry([TABLES[call]])
    assert not passes(source_for(result, registry), registry)


def test_saga_that_never_completes_names_the_call_that_is_not_sent_and_its_path():
    table = sale(compensatable("a", post("shop", "/a", number=BAD), undo=post("shop", "/u"), done="A", refused="NO_A"))
    result = verify(table)
    (fault,) = result.faults
    assert fault.broken == "can complete"
    assert "; a is not sent: " in fault.why
    assert fault.why.endswith(FAILED)
    assert lines_of(fault) == ["   1. The saga is stored in STARTED. The saga is stored in CANCELLED and released."]
    assert not passes(source_for(result, Registry([table])), Registry([table]))


def test_verify_finds_an_undo_of_an_item_that_cannot_be_built():
    items = each("lines", hold(undo=post("shop", "/undo", number=BAD)), done="ITEMS", refused="NO_ITEMS", name="items")
    table = sale(items)
    result = verify(table, registry=Registry([table]))
    assert [each.why.partition(" cannot")[0] for each in result.faults] == ["the undo of a (POST shop/undo)"]


def test_two_conditions_about_one_untyped_reply_are_both_decided():
    """Without types, the sample that decides one condition left the other one undecided: the undo was never built."""
    table = sale(
        read("q", get("shop", "/q"), done="Q", refused="NO_Q"),
        compensatable("small", post("shop", "/s"), undo=post("shop", "/s/undo"), done="S", refused="NO_S",
                      when=above("q.size", 10), doing="DOING_S"),
        hold(undo=post("shop", "/undo", number=BAD), when=equal("q.kind", "x"), doing="DOING_A"),
    )  # fmt: skip
    found = verify(table)
    assert [(fault.broken, fault.why.endswith(FAILED)) for fault in found.faults] == [("can be sent", True)]


def test_state_behind_two_conditions_about_one_untyped_reply_is_reached():
    shop = saga(
        read("q", get("shop", "/q"), done="Q", refused="NO_Q"),
        compensatable("small", post("shop", "/s"), undo=post("shop", "/s/undo"), done="S", refused="NO_S",
                      when=above("q.size", 10), doing="DOING_S"),
        hold(when=is_true("q.flag"), doing="DOING_A"),
        pivot("b", post("shop", "/b"), done="B", refused="NO_B"),
        retriable("tell", post("shop", "/t"), done="TOLD", when=is_true("q.flag"), doing="TELLING"),
        retriable("end", post("shop", "/e"), done="DONE"),
    )  # fmt: skip
    found = verify(shop)
    assert not found.faults, [fault.why for fault in found.faults]
    assert not found.unreached, found.unreached
