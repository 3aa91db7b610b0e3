from decimal import Decimal
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.call import Call, get, post
from machines.references import FillError, look_up, split
from tests.unit.machines.tables import quick

PAY = post("bank", "/{client_id}/orders/{order.number}", amount="order.amount", client="client_id")
DATA = {"client_id": 7}
RESULTS = {"order": {"number": "A/1", "amount": [1, 2]}}


def test_a_get_has_no_body():
    assert get("shop", "/x") == Call(method="GET", participant="shop", path="/x", body={})


def test_references_are_those_of_the_path_and_then_of_the_body():
    assert PAY.references == ("client_id", "order.number", "order.amount", "client_id")


def test_call_prints_as_method_participant_and_path():
    assert str(PAY) == "POST bank/{client_id}/orders/{order.number}"


def test_path_is_filled_from_data_and_replies():
    assert PAY.filled_path(DATA, RESULTS) == "/7/orders/A%2F1"


def test_a_path_without_placeholders_stays_as_it_is():
    assert get("shop", "/a/b?c=d").filled_path({}, {}) == "/a/b?c=d"


@pytest.mark.parametrize(
    "value", ["../x?y#z%2F", "a/b", "?admin=1", "#x", "%2e%2e%2f", "{order.number}", " ", "é€", "\r\n"]
)
def test_a_value_stays_in_its_segment(value):
    filled = get("shop", "/a/{client_id}/b").filled_path({"client_id": value}, {})
    assert segments(filled) == ["a", value, "b"]


@quick
@given(st.text("az09/\\.?#%&=;:@+ {}é€\r\n\0", min_size=1).filter(lambda value: value not in (".", "..")))
def test_any_value_stays_in_its_segment(value):
    filled = get("shop", "/a/{client_id}/b").filled_path({"client_id": value}, {})
    assert segments(filled) == ["a", value, "b"]
    assert filled.isascii()
    assert filled.isprintable()


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        (7, "7"), (1.5, "1.5"), (True, "true"), (False, "false"),
        (Decimal(12345678901234567890123), "12345678901234567890123"),
        (Decimal("0.0000000001234567890123"), "0.0000000001234567890123"),
    ],
)  # fmt: skip
def test_a_value_has_one_form_in_a_path(value, segment):
    assert get("shop", "/{client_id}").filled_path({"client_id": value}, {}) == f"/{segment}"


@pytest.mark.parametrize(("value", "what"), [(None, "null"), ([1], "a list"), ({"a": 1}, "an object"), ("", "''")])
def test_value_that_fits_no_path_is_not_filled_in(value, what):
    with pytest.raises(FillError, match=f"client_id is {what}, which is no part of a path"):
        get("shop", "/{client_id}").filled_path({"client_id": value}, {})


def test_body_is_filled_with_unchanged_data_and_replies():
    assert PAY.filled_body(DATA, RESULTS) == {"amount": [1, 2], "client": 7}


def test_missing_reply_cannot_be_filled_in():
    with pytest.raises(FillError, match=r"order\.amount is not known"):
        PAY.filled_body(DATA, {})


@pytest.mark.parametrize(
    ("reference", "parts"), [("client_id", (None, "client_id")), ("order.number", ("order", "number"))]
)
def test_a_reference_is_a_field_of_data_or_of_a_step(reference, parts):
    assert split(reference) == parts


def test_a_step_and_a_field_of_data_of_one_name_are_not_mixed_up():
    assert look_up("order", {"order": 1}, {"order": {"order": 2}}) == 1
    assert look_up("order.order", {"order": 1}, {"order": {"order": 2}}) == 2


def segments(path: str) -> list[str]:
    """Return the segments of a path as a server parses them."""
    parts = urlsplit(f"http://shop{path}")
    assert (parts.query, parts.fragment) == ("", "")
    return [unquote(segment) for segment in parts.path.split("/")[1:]]
