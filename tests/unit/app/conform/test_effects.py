"""The count of effects in what a participant shows."""

from decimal import Decimal

import pytest

from app.conform.effects import change, counts, in_words, left_over, taken_from_others


def seen(before, after):
    return change(counts(before), counts(after))


def test_two_bookings_are_twice_the_change_of_one_booking():
    one = seen([], [{"id": 1, "city": "Oslo"}])
    assert seen([{"id": 1, "city": "Oslo"}], [{"id": 1, "city": "Oslo"}, {"id": 7, "city": "Rome"}]) == one
    assert seen([], [{"id": 1, "city": "Oslo"}, {"id": 2, "city": "Oslo"}]) != one


def test_order_of_bookings_does_not_matter():
    assert seen([{"id": 1}, {"id": 2}], [{"id": 2}, {"id": 1}]) == []


def test_bookings_in_an_object_count_as_in_a_list():
    assert seen({}, {"b1": {"price": 5}}) == seen({"b1": {"price": 5}}, {"b1": {"price": 5}, "b2": {"price": 9}})


@pytest.mark.parametrize(
    ("after", "changed"), [(9, Decimal(-1)), (8.5, Decimal("-1.5")), (Decimal("9.5"), Decimal("-0.5"))]
)
def test_a_counter_changes_by_its_exact_difference(after, changed):
    assert seen({"free": 10, "open": True}, {"free": after, "open": False}) == [(0, changed)]


def test_number_of_effects_is_said_in_words():
    one, two = seen([], [{"id": "a", "price": 5}]), seen([], [{"id": "a", "price": 5}, {"id": "b", "price": 5}])
    paid = seen({"paid": 0}, {"paid": 7})
    assert (in_words([], one), in_words(two, one)) == ("no effect", "2 effects")
    assert in_words(seen({"paid": 0}, {"paid": 21}), paid) == "3 effects"
    assert in_words(seen({"paid": 0}, {"paid": -7}), paid) == "another change than one effect makes"


def left(before, done, after):
    return left_over(counts(before), counts(done), counts(after))


def test_number_that_an_undo_has_forgotten_is_named():
    done = {"fees": 5, "orders": [{"price": 5}], "free": 9}
    assert left({"fees": 0, "orders": [], "free": 10}, done, {"fees": 5, "orders": [], "free": 10}) == ["fees: 5 more"]
    assert left({"fees": 0, "orders": [], "free": 10}, done, {"fees": -5, "orders": [], "free": 10}) == ["fees: 5 less"]
    assert left({"fees": 0, "orders": [], "free": 10}, done, {"fees": 0, "orders": [], "free": 10}) == []


@pytest.mark.parametrize(
    ("before", "done", "after"),
    [
        ({"debits": 0, "refunds": 0}, {"debits": 7, "refunds": 0}, {"debits": 7, "refunds": 7}),
        ({"open": 0, "gone": 4}, {"open": 1, "gone": 4}, {"open": 0, "gone": 5}),
        ([], [{"price": 5, "is": "booked"}], [{"price": 5, "is": "cancelled"}]),
        ([], [{"price": 5}], [{"price": 5, "cancelled": True}]),
    ],
)
def test_undo_that_is_shown_beside_the_action_has_forgotten_nothing(before, done, after):
    assert left(before, done, after) == []


def taken(looks, after, own=(1, 2)):
    return taken_from_others(looks[0], (looks[own[0]], looks[own[1]]), (looks[-1], after))


@pytest.mark.parametrize(
    ("looks", "after", "lost"),
    [
        ([[], [{"id": 1}], [{"id": 1}, {"id": 2}]], [{"id": 1}], []),
        ([[], [{"id": 1}], [{"id": 1}, {"id": 2}]], [{"id": 2}], ["*: 1"]),
        ([[{"id": 0}], [{"id": 0}, {"id": 1}], [{"id": 0}, {"id": 1}, {"id": 2}]], [], ["*: 0", "*: 1"]),
        ([{}, {"b1": "Ada"}, {"b1": "Ada", "b2": "Ada"}], {"b1": "Ada"}, []),
        ([{}, {"b1": "Ada"}, {"b1": "Ada", "b2": "Ada"}], {"b2": "Ada"}, ["b1: Ada"]),
        ([{}, {"b1": {"is": "on"}}, {"b1": {"is": "on"}, "b2": {"is": "on"}}],
         {"b1": {"is": "off"}, "b2": {"is": "on"}}, ["b1.is: on"]),
        ([[], [{"id": 1, "is": "on"}], [{"id": 1, "is": "on"}, {"id": 2, "is": "on"}]],
         [{"id": 1, "is": "off"}, {"id": 2, "is": "on"}], ["*: 1, on"]),
        ([[], [{"id": 1, "is": "on"}], [{"id": 1, "is": "on"}, {"id": 2, "is": "on"}]],
         [{"id": 1, "is": "on"}, {"id": 2, "is": "off"}], []),
        ([{"free": 9, "refunds": 0, "at": "1h"}, {"free": 8, "refunds": 0, "at": "2h"},
          {"free": 7, "refunds": 0, "at": "3h"}], {"free": 8, "refunds": 1, "at": "4h"}, []),
        ([[{"sku": "a", "free": 9}], [{"sku": "a", "free": 8}], [{"sku": "a", "free": 7}]],
         [{"sku": "a", "free": 8}], []),
        ([["x"], ["x", "y"], ["x", "y", "z"]], ["y", "z"], ["*: x"]),
    ],
)  # fmt: skip
def test_undo_that_takes_what_its_action_has_not_added_is_found(looks, after, lost):
    assert taken(looks, after) == lost


def test_undo_of_the_older_action_may_take_the_older_effect():
    looks = [], [{"id": 1}], [{"id": 1}, {"id": 2}]
    assert taken(looks, [{"id": 2}], own=(0, 1)) == []
    assert taken(looks, [{"id": 1}], own=(0, 1)) == ["*: 2"]
