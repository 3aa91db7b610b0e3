"""The values that are kept of a reply: their place in the reply, their type, and the errors of a reply without them."""

import pytest

from machines.fields import (
    anything,
    boolean,
    choice,
    date,
    decimal,
    integer,
    list_of,
    money,
    nullable,
    object_of,
    optional,
    secret,
    text,
)
from machines.keeps import Kept, at, header, keep, kept_of

BODY = {
    "booking": {"id": "b7", "price": {"amount": 12.3}, "note": None},
    "items": [{"sku": "a", "more": 1}, {"sku": "b"}], "ok": True, "id": 7,
}  # fmt: skip
LOCATION = {b"location": b" https://x.example/v1/rentals/r%2F9/?a=b#c ", b"etag": b"caf\xe9", b"x-day": b"2027-01-31"}


@pytest.mark.parametrize(
    ("keeps", "stored"),
    [
        ({"booking.id": text()}, {"booking": {"id": "b7"}}),
        ({"id": at("booking.id", text())}, {"id": "b7"}),
        ({"a.b": at("items.1.sku", text()), "a.c": at("ok", boolean())}, {"a": {"b": "b", "c": True}}),
        ({"price": at("booking.price.amount", money())}, {"price": "12.30"}),
        ({"items": list_of({"sku": text()})}, {"items": [{"sku": "a"}, {"sku": "b"}]}),
        ({"booking": object_of({"id": text()})}, {"booking": {"id": "b7"}}),
        ({"booking.note": nullable(text())}, {"booking": {"note": None}}),
        ({"gone": optional(text())}, {}),
        ({"gone": text(default="x")}, {"gone": "x"}),
        ({"gone.deep": choice("A", default="A"), "id": integer()}, {"gone": {"deep": "A"}, "id": 7}),
        ({"n": boolean(default=False)}, {"n": False}),
        ({"all": at("booking.price", anything())}, {"all": {"amount": 12.3}}),
        ({"url": header("Location")}, {"url": "https://x.example/v1/rentals/r%2F9/?a=b#c"}),
        ({"id": header("location", last_segment=True)}, {"id": "r/9"}),
        ({"tag": header("ETag")}, {"tag": "café"}),
        ({"day": header("X-Day", date())}, {"day": "2027-01-31"}),
        ({"no": header("X-No", optional(text()))}, {}),
        ({"no": header("X-No", text(default="-"))}, {"no": "-"}),
        ({"no": optional(at("gone", text()))}, {}),
        ({"no": optional(header("X-No"))}, {}),
        ({"note": nullable(at("booking.note", text()))}, {"note": None}),
        ({"id": at("booking.id", text(), otherwise="items.0.sku")}, {"id": "b7"}),
        ({"id": at("existing.id", text(), otherwise="booking.id")}, {"id": "b7"}),
        ({"id": at("booking.note", text(), otherwise="booking.id")}, {"id": "b7"}),
        ({"id": header("X-No", otherwise="booking.id")}, {"id": "b7"}),
        ({"id": header("Location", last_segment=True, otherwise="booking.id")}, {"id": "r/9"}),
        ({"id": optional(at("gone", text(), otherwise="lost"))}, {}),
    ],
)
def test_only_what_is_declared_is_kept_under_its_name(keeps, stored):
    assert keep(keeps, BODY, LOCATION) == (stored, {})


@pytest.mark.parametrize(
    ("keeps", "lacking"),
    [
        ({"gone": text()}, {"field gone": ""}),
        ({"x": at("booking.gone", text())}, {"field booking.gone": ""}),
        ({"x": at("items.9.sku", text())}, {"field items.9.sku": ""}),
        ({"id.deep": text()}, {"field id.deep": ""}),
        ({"x": header("X-No")}, {"header X-No": ""}),
        ({"booking.note": text()}, {"field booking.note": "is null"}),
        ({"id": text()}, {"field id": "is 7, no text"}),
        ({"items": list_of({"sku": integer()})}, {"field items": "is 'a',"}),
        ({"x": header("X-Day", decimal(2))}, {"header X-Day": "is '2027-01-31', no decimal"}),
        ({"card": at("booking.id", secret(integer()))}, {"field booking.id": "is not what its field allows"}),
        ({"note": at("booking.note", optional(text()))}, {"field booking.note": "is null"}),
        ({"id": at("gone", text(), otherwise="lost")}, {"field gone or lost": ""}),
        ({"id": at("gone", text(), otherwise="id")}, {"field gone or id": "is 7, no text"}),
    ],
)
def test_a_reply_that_lacks_a_value_says_which_and_why(keeps, lacking):
    _, found = keep(keeps, BODY, LOCATION)
    ((name, problem),) = lacking.items()
    assert list(found) == [name]
    assert problem in found[name]
    assert bool(found[name]) == bool(problem)


def test_the_place_within_a_list_is_named():
    _, lacking = keep({"lines": at("items", list_of({"sku": text(), "price": money()}))}, BODY, {})
    assert lacking == {"field items": "field items.0.price is missing"}


@pytest.mark.parametrize("body", [None, [], "text", 5, {"booking": []}, {"booking": "x"}])
def test_a_body_of_another_shape_lacks_the_value(body):
    assert keep({"booking.id": text()}, body, {}) == ({}, {"field booking.id": ""})


def test_a_list_is_a_body_too():
    assert keep({"id": at("0.id", text())}, [{"id": "x"}], {}) == ({"id": "x"}, {})


@pytest.mark.parametrize("location", [b"", b"/", b"https://x.example", b"https://x.example/?a=b"])
def test_an_address_without_a_last_segment_lacks_it(location):
    keeps = {"id": header("Location", last_segment=True)}
    assert keep(keeps, {}, {b"location": location}) == ({}, {"header Location": ""})


def test_a_field_alone_is_kept_by_its_path():
    assert kept_of("a.b", text()) == Kept(field=text(), source="a.b")
    assert kept_of("a", at("b", text())) == Kept(field=text(), source="b")
