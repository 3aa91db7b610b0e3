"""What each comparison decides, in which words, and what can be proved about conditions."""

from decimal import Decimal
from typing import Any

import pytest

from machines import (
    above,
    all_of,
    any_of,
    below,
    between,
    choice,
    const,
    date,
    decimal,
    equal,
    fallback,
    integer,
    is_true,
    not_,
    one_of,
    present,
    text,
)
from machines.condition_logic import example, implies
from machines.conditions import Condition, required_references
from machines.deciding import decide

DATA = {
    "country": "FR",
    "amount": "99.50",
    "pieces": 3,
    "gift": True,
    "day": "2027-01-31",
    "big": Decimal("1e30"),
    "at": "2027-01-31T09:30:00+01:00",
    "float": 0.1,
    "nothing": None,
    "list": [1, 2],
}
HOLDS: list[tuple[Condition, bool]] = [
    (equal("country", "FR"), True),
    (equal("country", "CA"), False),
    (equal("pieces", 3), True),
    (equal("amount", Decimal("99.5")), True),
    (equal("gift", True), True),
    (equal("gift", False), False),
    (above("amount", "99.49"), True),
    (above("amount", "99.50"), False),
    (above("amount", 99), True),
    (below("amount", "99.51"), True),
    (below("amount", "99.50"), False),
    (above("float", "0.1"), False),
    (between("pieces", 3, 4), True),
    (between("pieces", 4, 5), False),
    (between("amount", "99.50", 100), True),
    (above("day", "2027-01-30"), True),
    (above("day", "2027-01-31"), False),
    (below("day", "2027-02-01"), True),
    (above("at", "2027-01-31T08:29:59Z"), True),
    (above("at", "2027-01-31T08:30:00Z"), False),
    (above("big", Decimal(999999999999999999999999999999)), True),
    (one_of("country", "CA", "FR"), True),
    (one_of("pieces", 1, 2), False),
    (is_true("gift"), True),
    (present("country"), True),
    (present("nothing"), False),
    (present("absent"), False),
    (present("list.5"), False),
    (not_(present("absent")), True),
    (equal(fallback("absent", const("x")), "x"), True),
    (all_of(is_true("gift"), equal("country", "CA")), False),
    (any_of(equal("country", "CA"), is_true("gift")), True),
    (all_of(present("absent"), equal("absent", "x")), False),
    (any_of(is_true("gift"), equal("absent", "x")), True),
]


@pytest.mark.parametrize(("condition", "holds"), HOLDS, ids=str)
def test_condition_holds_or_not(condition, holds):
    assert decide(condition, DATA, {}).holds is holds
    assert decide(not_(condition), DATA, {}).holds is not holds


@pytest.mark.parametrize(
    "condition",
    [
        equal("country", 3),
        equal("pieces", "3"),
        equal("gift", 1),
        equal("pieces", True),
        equal("absent", "x"),
        equal("nothing", "x"),
        above("country", 3),
        above("list", 1),
        above("gift", 0),
        is_true("pieces"),
        is_true("country"),
        above("day", "2027-01-31T08:30:00Z"),
        above("at", "2027-01-31"),
        above("country", "2027-01-01"),
        one_of("pieces", "a", "b"),
        not_(equal("absent", "x")),
        all_of(equal("absent", 1), is_true("gift")),
        any_of(equal("country", "CA"), equal("absent", "x")),
        equal("list.9", 1),
    ],
    ids=str,
)
def test_a_missing_value_and_one_of_another_type_decide_nothing(condition):
    decision = decide(condition, DATA, {})
    assert decision.holds is None
    assert "cannot be decided: " in decision.problem


def test_a_decision_names_the_values_that_it_looked_at():
    decision = decide(any_of(equal("country", "FR"), is_true("gift")), DATA, {})
    assert (decision.seen, decision.reason) == ({"country": "FR"}, "country is FR")
    assert decide(present("list"), DATA, {}).seen == {"list": "a list of 2"}
    assert len(decide(present("long"), {"long": "x" * 10_000}, {}).seen["long"]) == 200


def test_a_condition_sees_the_replies_of_steps():
    assert decide(above("quote.total", 5), {}, {"quote": {"total": 6}}).holds is True


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (equal("country", "FR"), "country is FR"),
        (equal("code", "12"), 'code is "12"'),
        (equal("n", 12), "n is 12"),
        (not_(equal("country", "FR")), "country is not FR"),
        (above("amount", "10.50"), "amount is above 10.50"),
        (between("n", 1, 2), "n is between 1 and 2"),
        (one_of("c", "CA", "FR"), "c is one of CA, FR"),
        (not_(one_of("c", "CA")), "c is not one of CA"),
        (is_true("gift"), "gift is true"),
        (not_(present("note")), "note is not present"),
        (not_(not_(is_true("gift"))), "gift is true"),
        (all_of(is_true("a"), any_of(is_true("b"), is_true("c"))), "a is true and (b is true or c is true)"),
        (not_(all_of(is_true("a"), is_true("b"))), "not (a is true and b is true)"),
        (equal("x", "true"), 'x is "true"'),
        (equal(fallback("note", const("")), ""), "fallback(note, '') is \"\""),
    ],
)
def test_a_condition_is_written_in_words(condition, words):
    assert str(condition) == words


def test_only_values_without_a_substitute_are_required():
    condition = all_of(present("a.x"), equal("a.x", 1), equal("b.y", 2), equal(fallback("c.z", const(1)), 1))
    assert required_references(condition) == ("b.y",)
    assert required_references(any_of(not_(present("a.x")), equal("a.x", 1))) == ()
    assert required_references(any_of(present("a.x"), equal("a.x", 1))) == ("a.x",)


FIELDS: dict[str, Any] = {
    "country": text(),
    "n": integer(),
    "way": choice("card", "cash"),
    "price": decimal(2),
    "d": date(),
}


@pytest.mark.parametrize(
    ("holding", "then"),
    [
        ([equal("country", "CA")], one_of("country", "CA", "US")),
        ([above("n", 10)], above("n", 5)),
        ([above("n", 10)], not_(below("n", 11))),
        ([not_(equal("way", "card"))], equal("way", "cash")),
        ([is_true("x"), is_true("y")], all_of(is_true("y"), is_true("x"))),
        ([above("d", "2027-01-31")], above("d", "2027-01-30")),
        ([equal("price", Decimal("1.50"))], between("price", 1, 2)),
        ([not_(present("o"))], not_(present("o"))),
    ],
)
def test_an_implication_is_proved(holding, then):
    assert implies(holding, then, FIELDS)


@pytest.mark.parametrize(
    ("holding", "then"),
    [
        ([], equal("country", "CA")),
        ([above("n", 5)], above("n", 10)),
        ([not_(equal("country", "CA"))], equal("country", "US")),
        ([above("price", 1)], above("price", "1.01")),
        ([is_true("x")], is_true("y")),
        ([above("n", 10)], above("m", 10)),
        ([above("d", "2027-01-30")], above("d", "2027-01-31")),
    ],
)
def test_no_implication_is_claimed_that_does_not_hold(holding, then):
    assert not implies(holding, then, FIELDS)


def test_complementary_conditions_leave_no_gap_and_do_not_overlap():
    low, high = not_(above("n", 100)), above("n", 100)
    assert example([low, high], [], FIELDS) is None
    assert example([], [low, high], FIELDS) is None
    assert example([], [below("n", 100), above("n", 100)], FIELDS) == {"n": 100}
    assert example([below("n", 101), above("n", 99)], [], FIELDS) == {"n": 100}


def test_nothing_is_proved_about_too_many_values():
    many = all_of(*(any_of(equal(f"v{number}", "a"), present(f"v{number}")) for number in range(20)))
    assert not implies([many], many, {})
