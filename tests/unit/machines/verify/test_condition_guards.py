"""`saga verify` finds a condition that the engine decides otherwise than the table says."""

from datetime import date
from decimal import Decimal

import pytest

from machines import (
    above,
    all_of,
    any_of,
    at,
    below,
    between,
    compensatable,
    deciding,
    equal,
    get,
    integer,
    is_true,
    not_,
    one_of,
    optional,
    post,
    present,
    read,
    sub,
    text,
)
from machines.condition_logic import samples_of
from machines.deciding import decide
from machines.progress import Progress
from machines.registry import Registry
from machines.verify import truth as truth_module
from machines.verify import verify
from machines.verify.truth import disputed, truth_for
from tests.unit.machines.tables import saga
from tests.unit.machines.verify.family_guards import Guard
from tests.unit.machines.verify.written import passes, source_for

TESTS = deciding._TESTS
OTHER_TESTS = {
    "above": lambda value, limit: value >= limit,
    "below": lambda value, limit: value <= limit,
    "between": lambda value, low, high: low < value <= high,
    "equal": lambda value, constant: value >= constant,
    "one_of": lambda value, *constants: value == constants[0],
}
CONDITIONS = {
    "above": above("client_id", 4),
    "below": below("client_id", 4),
    "between": between("client_id", 4, 6),
    "equal": equal("client_id", 4),
    "one_of": one_of("client_id", 4, 6),
    "all_of": all_of(above("client_id", 4), below("number", 4)),
    "any_of": any_of(above("client_id", 4), below("number", 4)),
    "not_": not_(above("client_id", 4)),
    "of a reply": above("a.number", 4),
    "undecided": above("a.number", 4),
    "a number is no boolean": equal("a.flag", True),
    "a text is no boolean": is_true("a.flag"),
    "other case": equal("a.name", "gift"),
    "longer text": one_of("a.name", "gift", "loan"),
    "shorter text": equal("a.name", "gift"),
    "spaces": equal("a.name", "gift"),
    "zone": above("a.at", "2026-01-31T00:00:00Z"),
    "an empty text is present": present("note"),
    "zero is present": present("a.number"),
}
#: Guard → the test that another one replaces, which takes a near miss for the constant.
NEAR = {
    "a number is no boolean": ("equal", lambda value, constant: value == constant),
    "a text is no boolean": ("is_true", bool),
    "other case": ("equal", lambda value, constant: value.casefold() == constant),
    "longer text": ("one_of", lambda value, *constants: value.startswith(constants)),
    "shorter text": ("equal", lambda value, constant: constant.startswith(value)),
    "spaces": ("equal", lambda value, constant: value.strip() == constant),
}
GUARDS = {
    "zone": Guard(
        owner=deciding, function="as_moment", table="zone", text="dt.datetime.fromisoformat(text.upper())",
        without="dt.datetime.fromisoformat(text.upper()).replace(tzinfo=dt.UTC)",
    ),
    "all_of": Guard(
        owner=deciding, function="holds", table="all_of", text="return all(", without="return any(",
        users=(truth_module,),
    ),
    "any_of": Guard(
        owner=deciding, function="holds", table="any_of", text="return any(", without="return all(",
        users=(truth_module,),
    ),
    "not_": Guard(
        owner=deciding, function="holds", table="not_", text="return not holds", without="return holds",
        users=(truth_module,),
    ),
    **{
        name: Guard(owner=deciding, function="holds", table=name, text="found is not None", without="bool(found)",
                    users=(truth_module,))
        for name in ("an empty text is present", "zero is present")
    },
    "undecided": Guard(
        owner=Progress, function="_decide", table="undecided", text="if decision.holds is None", without="if False"
    ),
}  # fmt: skip


def deciding_table(name):
    return saga(
        read("a", get("shop", "/a"), done="A", refused="NO_A"),
        compensatable(
            "b", post("shop", "/b"), undo=post("shop", "/u"), done="DONE", refused="NO_B", when=CONDITIONS[name]
        ),
        data={"client_id": integer(low=1), "number": integer(low=1), "note": optional(text(low=0))},
    )


def take_out(patch, guard):
    if guard in GUARDS:
        GUARDS[guard].remove(patch)
        return
    if guard in NEAR:
        test, other = NEAR[guard]
        patch.setattr(deciding, "_TESTS", {**TESTS, test: other})
        return
    test = "above" if guard == "of a reply" else guard
    patch.setattr(deciding, "_TESTS", {**TESTS, test: OTHER_TESTS[test]})


@pytest.mark.parametrize("guard", CONDITIONS)
def test_verify_finds_a_condition_that_is_decided_otherwise(guard):
    assert verify(deciding_table(guard)).faults == []
    with pytest.MonkeyPatch.context() as patch:
        take_out(patch, guard)
        table = deciding_table(guard)
        result = verify(table)
        assert [each.broken for each in result.faults] == ["as its condition says"]
        source = source_for(result, Registry([table]))
        assert not passes(source, Registry([table]))
    assert passes(source, Registry([deciding_table(guard)]))


PAYMENT = saga(
    compensatable("charge", post("shop", "/c", keeps={"n": integer()}), undo=post("shop", "/u"), done="DONE",
                  refused="NO_CHARGE"),
    name="payment",
)  # fmt: skip


def deciding_by_its_child():
    paid = {"n": at("charge.n", integer())}
    return saga(
        sub("pay", saga="payment", data={"client_id": "client_id"}, keeps=paid, done="PAID", refused="NO_PAY"),
        compensatable(
            "b", post("shop", "/b"), undo=post("shop", "/u"), done="DONE", refused="NO_B", when=above("pay.n", 4)
        ),
    )


def test_verify_finds_a_condition_about_a_child_that_is_decided_otherwise(monkeypatch):
    tables = Registry([table := deciding_by_its_child(), PAYMENT])
    assert verify(table, registry=tables).faults == []
    with monkeypatch.context() as patch:
        patch.setattr(deciding, "_TESTS", {**TESTS, "above": OTHER_TESTS["above"]})
        result = verify(table, registry=tables)
        assert [each.broken for each in result.faults] == ["as its condition says"]
        source = source_for(result, tables)
        assert not passes(source, tables)
    assert passes(source, tables)


VALUES = (None, True, False, 0, 4, 5, 4.0, Decimal("4.50"), "4", "x", "2026-01-31", "2026-02-01T00:00:00Z", [], {})
READ = [
    *(test("x", limit) for test in (above, below, equal) for limit in (4, Decimal("4.5"))),
    *(test("x", "2026-01-31") for test in (above, below, equal)),
    *(test("x", date(2026, 1, 31).isoformat() + "T00:00:00+00:00") for test in (above, below)),
    between("x", 4, 5), one_of("x", 4, 5), one_of("x", "x", "y"), equal("x", True), is_true("x"), present("x"),
    all_of(present("x"), above("x", 4)), any_of(equal("x", 4), is_true("x")), not_(not_(above("x", 4))),
]  # fmt: skip


@pytest.mark.parametrize("condition", READ, ids=str)
def test_both_readings_of_a_condition_say_the_same(condition):
    for value in VALUES:
        data = {} if value is None else {"x": value}
        assert truth_for(condition, data, {}) is decide(condition, data, {}).holds, value
    assert list(disputed(condition, {})) == []


def test_samples_of_a_comparison_are_on_its_limit_and_on_both_sides():
    condition = above("x", 4)
    found = {each["x"]: truth_for(condition, each, {}) for each in samples_of([condition], {})}
    assert found == {3: False, 4: False, 5: True}
