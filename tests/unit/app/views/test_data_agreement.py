"""The data of a start: the schema, the OpenAPI document and `accept` accept the same values."""

from decimal import Decimal
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidError
from app.values import parsed_strictly, written
from app.views.saga_data import data_schema, json_schema
from app.views.validation import MOST_ERRORS, load
from machines.accepting import NotAcceptedError, accept
from machines.fields import object_of
from machines.samples import example
from tests.support.tables.kitchen_sink import KITCHEN_SINK
from tests.unit.machines.tables import quick

DATA = KITCHEN_SINK.data
EXAMPLE = parsed_strictly(written(example(DATA)))
DESCRIBED = jsonschema_rs.Draft202012Validator(json_schema(DATA), validate_formats=True)
ID = "12345678-1234-1234-1234-1234567890ab"
#: Values at and around the bounds of the field kinds. Three kinds of values are left out on purpose. The year 0000 and
#: leap seconds: Python does not have them. A date and time with a space in place of the T: the service accepts it, but
#: no `format` of JSON Schema does. A decimal just above its high=: a pattern bounds only the number of digits.
EDGES = [
    None, True, False, 0, -1, 1, 2, 9, 20, 21, 500, 501, 10**9, 10**9 + 1, 2**63 - 1, 2**63, 5.0, 19.99, 0.07, 0.001,
    0.1 + 0.2, 1e300, -0.5, 50, 50.0005, Decimal("999999999.00000000000000000001"), Decimal(10**20),
    "", "x", "xx", "é" * 40, "é" * 41, "1", "1.", ".5", "1.5", "-1.5", "12.30", "12.300", "12.345", "007", "1e3", "+1",
    "1.1234", "99999999999", " 1", "1_0", "٣", "5.00", "NaN", "null", "true", "S", "L", "RED", "red",
    ID, ID.upper(), ID.replace("-", ""), f"{{{ID}}}", "2027-01-31", "2027-02-29", "2028-02-29", "20270131", "2027-1-1",
    "2027-01-31T09:30:00+01:00", "2027-01-31t09:30:00z", "2027-01-31T09:30:00", "2027-01-31T09:30Z",
    "2027-01-31T25:00:00Z", "2027-01-31T09:30:00.123456789Z", "2027-01-31T09:30:00+01:75", "2027-01-31T09:30:00+0100",
    [], {}, [1], ["x"], [None], [[True]], [[]], [[1]], ["RED"], [True, True, True], {"a": 1}, {"a": "1"}, {"a": None},
]  # fmt: skip
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(-40, 40, places=4).map(lambda each: format(each, "f")) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "sku"]), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the path of each value in the example."""
    found = [path] if path else []
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, below in members:
        found += places(below, (*path, name))
    return [place for place in found if place[0] not in ("extra", "more")]


PLACES = places(EXAMPLE)


def changed(place: tuple[str | int, ...], value: Any, data: Any = EXAMPLE) -> Any:
    """Return a copy of the data with another value at one place."""
    if not place:
        return value
    members = dict(data) if isinstance(data, dict) else list(data)
    members[place[0]] = changed(place[1:], value, data[place[0]])
    return members


def pointer(place: tuple[str | int, ...]) -> str:
    return "".join(f"/{name}" for name in place)


def refused_at(data: dict[str, Any]) -> set[str]:
    """Return the places at which the schema refuses the data. The set is empty when the schema accepts the data."""
    try:
        load(data_schema(KITCHEN_SINK), data)
    except InvalidError as error:
        return {wrong["pointer"] for wrong in error.members["errors"]}
    return set()


def agree(data: dict[str, Any]) -> None:
    """Fail unless the schema, `accept` and the OpenAPI document all accept the data or all refuse it."""
    refused = refused_at(data)
    assert DESCRIBED.is_valid(data) == (not refused), refused
    if not refused:
        assert load(data_schema(KITCHEN_SINK), data) == accept(object_of(DATA), data)
        return
    with pytest.raises(NotAcceptedError) as error:
        accept(object_of(DATA), data)
    assert any(each.startswith(pointer(error.value.path)) for each in refused), (error.value.path, refused)


@pytest.mark.parametrize("place", PLACES, ids=pointer)
def test_every_check_accepts_the_same_values(place):
    for value in EDGES:
        agree(changed(place, value))


@quick
@given(place=st.sampled_from(PLACES), value=ANY)
def test_every_check_accepts_the_same_of_any_values(place, value):
    agree(changed(place, parsed_strictly(written(value))))


@pytest.mark.parametrize("name", DATA)
def test_a_missing_field_is_refused_as_described(name):
    agree({other: value for other, value in EXAMPLE.items() if other != name})
    assert ({f"/{name}"} if DATA[name].required else set()) == refused_at(
        {other: value for other, value in EXAMPLE.items() if other != name}
    )


def test_any_value_may_be_null():
    assert not refused_at(EXAMPLE | {"extra": None})


def test_nothing_of_an_amount_is_rounded():
    assert refused_at(EXAMPLE | {"budget": Decimal("99.00000000000000000000000000001")}) == {"/budget"}


@pytest.mark.parametrize(
    ("place", "value", "at"),
    [
        (("traveller",), [], "/traveller"),
        (("traveller", "emails", 0), 5, "/traveller/emails/0"),
        (("traveller", "address"), {"street": "x", "zip": "1234", "a/b~": 1}, "/traveller/address/a~1b~0"),
        (("lines", 0), 5, "/lines/0"),
        (("grid", 0, 0), "x", "/grid/0/0"),
        (("bank", "iban"), 5, "/bank/iban"),
        (("last",), 5, "/last"),
    ],
)
def test_an_error_has_the_pointer_of_the_wrong_value(place, value, at):
    assert refused_at(changed(place, value)) == {at}


def test_a_value_that_is_no_object_is_named_so():
    with pytest.raises(InvalidError) as refused:
        load(data_schema(KITCHEN_SINK), EXAMPLE | {"traveller": "Ada"})
    assert refused.value.members["errors"] == [{"pointer": "/traveller", "detail": "Not an object."}]


def test_an_error_names_a_bounded_number_of_fields():
    with pytest.raises(InvalidError) as refused:
        load(data_schema(KITCHEN_SINK), EXAMPLE | {"lines": [5] * 200})
    assert len(refused.value.members["errors"]) == MOST_ERRORS


def test_the_default_of_a_secret_is_not_described():
    described = json_schema(DATA)["properties"]
    assert "letmein" not in str(described)
    assert described["size"]["default"] == "S"
    assert described["token"] == {"type": "string", "minLength": 1, "maxLength": 200, "writeOnly": True}
