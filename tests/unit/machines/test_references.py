"""References: each place from which a value may come."""

import pytest

from machines.call import post
from machines.references import MASKED, FillError, idempotency_key, look_up, roots_of, scalar_text, segment, within

DATA = {"city": "Oslo", "trip": {"stops": [{"name": "A"}, {"name": "B"}]}, "item": 5, "tags": ["x", "y"], "none": None}
RESULTS = {"fly": {"booking": {"id": "b7"}, "legs": [[1, 2], [3]], "0": "zero"}, "hand": None}
ROOTS = roots_of("S1", "pay", "undo")


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("city", "Oslo"),
        ("trip.stops.1.name", "B"),
        ("tags.0", "x"),
        ("fly.booking.id", "b7"),
        ("fly.legs.0.1", 2),
        ("fly.0", "zero"),
        ("none", None),
        ("item", 5),
        ("saga.id", "S1"),
        ("saga.key", "S1/pay/undo"),
        ("trip", DATA["trip"]),
    ],
)
def test_a_reference_finds_its_value_at_any_depth(reference, value):
    assert look_up(reference, DATA, RESULTS, ROOTS) == value


@pytest.mark.parametrize(
    "reference",
    [
        "gone",
        "city.name",
        "tags.2",
        "tags.-1",
        "tags.x",
        "fly.gone",
        "hand.id",
        "none.x",
        "saga.gone",
        "trip.stops.name",
        f"tags.{'9' * 5000}",
        "fly.legs.0.1.2",
        "",
        "item.sku",
    ],
)
def test_a_reference_without_a_value_is_named(reference):
    with pytest.raises(FillError, match=r" is not known$") as refused:
        look_up(reference, DATA, RESULTS, ROOTS)
    assert str(refused.value).startswith(reference)


def test_the_current_item_goes_before_data_of_its_name():
    roots = {**ROOTS, "item": {"sku": "s"}}
    assert look_up("item.sku", DATA, RESULTS, roots) == "s"
    assert look_up("item", DATA, RESULTS, roots) == {"sku": "s"}


def test_a_reply_goes_before_data_of_its_name():
    assert look_up("fly.booking.id", {"fly": {"booking": {"id": "no"}}}, RESULTS) == "b7"


def test_the_saga_and_its_key_can_stand_in_every_part_of_a_call():
    call = post("p", "/{saga.id}", query={"k": "saga.key"}, headers={"X-Saga": "saga.id"}, body={"r": "saga.id"})
    assert call.uses_saga
    assert not post("p", "/", a="city").uses_saga
    assert call.filled_path(DATA, {}, ROOTS) == "/S1?k=S1%2Fpay%2Fundo"
    assert call.filled_headers(DATA, {}, ROOTS) == {"X-Saga": "S1"}
    assert call.filled_body(DATA, {}, ROOTS) == {"r": "S1"}
    assert idempotency_key("S1", "pay", "undo") == "S1/pay/undo"


def test_what_is_below_a_masked_value_is_masked():
    assert within(MASKED, ["a", "0"]) is MASKED
    assert look_up("fly.a.b", {}, {"fly": {"a": MASKED}}) is MASKED


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (7, "7"), ("a/b é", "a%2Fb%20%C3%A9"), (1.5, "1.5")])
def test_a_segment_of_a_path_is_encoded(value, text):
    assert segment("x", value) == text


@pytest.mark.parametrize("value", ["", ".", "..", None, [], {}])
def test_what_would_change_the_path_is_no_segment(value):
    with pytest.raises(FillError, match=r"^x is .* no part of a path$"):
        segment("x", value)


@pytest.mark.parametrize("value", ["a\r\nX: y", "é", " a", "a\t", "a\0"])
def test_what_no_header_may_have_is_refused(value):
    with pytest.raises(FillError, match=r"^a has a character that no header may have$"):
        post("p", "/", headers={"X-A": "a"}).filled_headers({"a": value}, {})


def test_a_query_sends_a_list_item_by_item_and_encodes_each():
    call = post("p", "/?v=1", query={"t": "tags", "c d": "city", "n": ["item", "city"]}, body=None)
    assert call.filled_path(DATA | {"tags": ["a&b", "c"]}, {}) == "/?v=1&t=a%26b&t=c&c%20d=Oslo&n=5&n=Oslo"
    assert post("p", "/", query={"t": "tags"}).filled_path({"tags": []}, {}) == "/"


def test_scalars_have_one_text():
    assert [scalar_text("x", value, "y") for value in (False, 0, 10**30, "é")] == ["false", "0", f"{10**30}", "é"]
