"""Values by the type of their field: which values are accepted, what they become, and the texts of the errors."""

from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.accepting import NotAcceptedError, accept
from machines.fields import (
    Field,
    amount,
    anything,
    boolean,
    choice,
    date,
    datetime,
    decimal,
    integer,
    list_of,
    money,
    nullable,
    number,
    object_of,
    optional,
    secret,
    text,
    uuid,
)
from tests.unit.machines.tables import quick

ID = "12345678-1234-1234-1234-1234567890ab"
ACCEPTED = [
    (integer(0, 9), 9, 9),
    (integer(high=10), Decimal("7.0"), 7),
    (integer(high=10), 7.0, 7),
    (integer(-5, -1), -3, -3),
    (amount(), 12.3, 12.3),
    (amount(99.99), 99.99, 99.99),
    (amount(low="0.29"), 0.29, 0.29),
    (money(low="0.01"), "0.01", "0.01"),
    (decimal(3, "-0.125", Decimal("0.125")), "-0.125", "-0.125"),
    (amount(), 0, 0),
    (amount(), Decimal("0.10"), Decimal("0.10")),
    (money(), "12.30", "12.30"),
    (money(), "12.3", "12.30"),
    (money(), 12, "12.00"),
    (money(), 0.1, "0.10"),
    (money(), "007", "7.00"),
    (decimal(3), "1.25", "1.250"),
    (decimal(0), "5", "5"),
    (decimal(2), "-0.00", "0.00"),
    (decimal(2, -5), "-1.5", "-1.50"),
    (decimal(30), f"1.{'1' * 30}", f"1.{'1' * 30}"),
    (decimal(18, high=2**60), f"{2**60}.{'0' * 18}", f"{2**60}.{'0' * 18}"),
    (number(), 1e300, 1e300),
    (number(), -5, -5),
    (number(), Decimal("9" * 40), Decimal("9" * 40)),
    (text(), "é", "é"),
    (text(0), "", ""),
    (uuid(), ID, ID),
    (uuid(), ID.upper(), ID.upper()),
    (boolean(), False, False),
    (date(), "2028-02-29", "2028-02-29"),
    (datetime(), "2027-01-31T09:30:00+01:00", "2027-01-31T09:30:00+01:00"),
    (datetime(), "2027-01-31T09:30:00.123456789Z", "2027-01-31T09:30:00.123456789Z"),
    (datetime(), "2027-01-31 09:30:00z", "2027-01-31 09:30:00z"),
    (choice("A", "B"), "B", "B"),
    (anything(), [None, {"a": 1}], [None, {"a": 1}]),
    (anything(), None, None),
    (object_of({"a": text(), "b": text(default="x"), "c": optional(text())}), {"a": "1"}, {"a": "1", "b": "x"}),
    (list_of({"n": money()}), [{"n": 1}], [{"n": "1.00"}]),
    (list_of(money(), low=0), [], []),
    (list_of(list_of(boolean())), [[True], [False]], [[True], [False]]),
    (nullable(money()), None, None),
    (object_of({"a": object_of({"b": nullable(date())})}), {"a": {"b": None}}, {"a": {"b": None}}),
]
REFUSED = [
    (integer(0, 9), 10, "is 10, not from 0 to 9"),
    (integer(), "5", "is '5', no integer"),
    (integer(), 1.5, "is 1.5, no "),
    (integer(), True, "is true, no integer"),
    (integer(), float("inf"), "no integer"),
    (integer(), None, "is null"),
    (amount(), 0.001, "is 0.001, which has more than 2 decimals"),
    (amount(), "1", "is '1', no number"),
    (amount(99.99), 100, "is 100, not from 0 to 99.99"),
    (amount(low="0.01"), 0, "is 0, not from 0.01 to 1000000000"),
    (money(low="0.01"), "0", "is '0', not from 0.01 to 1000000000"),
    (decimal(3, high="0.125"), "0.126", "is '0.126', not from -1000000000 to 0.125"),
    (amount(), -1, "is -1, not from 0 to 1000000000"),
    (amount(), False, "is false, no number"),
    (money(), "12.305", "is '12.305', which has more than 2 decimals"),
    (money(), "-1.00", "is '-1.00', not from 0 to"),
    (money(), 0.1 + 0.2, "is 0.30000000000000004, which has more than 2 decimals"),
    (money(), "1e3", "is '1e3', no "),
    (money(), " 1", "is ' 1', no decimal"),
    (money(), "1_0", "is '1_0', no decimal"),
    (money(), "٣", "is '٣', no decimal"),
    (money(), ".5", "is '.5', no decimal"),
    (money(), "NaN", "is 'NaN', no decimal"),
    (money(), [], "is a list, no decimal"),
    (money(), "1" * 101, "is a text of 101 characters, no decimal"),
    (decimal(3), "1.2345", "has more than 3 decimals"),
    (decimal(18), f"1.{'1' * 40}", "has more than 18 decimals"),
    (decimal(0), "0.1", "has more than 0 decimals"),
    (number(), "1", "is '1', no number"),
    (number(), True, "is true, no number"),
    (number(), float("inf"), "no number"),
    (text(), "", "has 0 characters, not 1 to 200"),
    (text(high=3), "abcd", "has 4 characters, not 1 to 3"),
    (text(), 5, "is 5, no text"),
    (uuid(), ID[:-1], ", no UUID"),
    (uuid(), f"{{{ID}}}", "no UUID"),
    (uuid(), 5, "no UUID"),
    (boolean(), 1, "is 1, neither true nor false"),
    (boolean(), "true", "is 'true', neither true nor false"),
    (date(), "2027-02-29", "is '2027-02-29', no date such as"),
    (date(), "20270131", "no date such as"),
    (date(), "2027-W01-1", "no date"),
    (date(), "2027-01-31T00:00:00Z", "no date"),
    (date(), 5, "no date"),
    (datetime(), "2027-01-31T09:30:00", "no date and time with a zone"),
    (datetime(), "2027-01-31", "no date and time"),
    (datetime(), "2027-W05-7T09:30:00Z", "no date and time"),
    (datetime(), "2027-01-31T09:30Z", "no date and time"),
    (datetime(), "2027-02-30T09:30:00Z", "no date and time"),
    (datetime(), "2027-01-31T25:00:00Z", "no date and time"),
    (datetime(), "2027-01-31T09:30:00+0100", "no date and time"),
    (datetime(), "2027-01-31T09:30:00+01:75", "no date and time"),
    (datetime(), 5, "no date and time"),
    (choice("A", "B"), "C", "is 'C', none of A, B"),
    (choice("A"), 5, "is 5, none of A"),
    (object_of({"a": text()}), [], "is a list, no object"),
    (list_of(text()), {}, "is an object, no list"),
    (list_of(text(), high=1), ["a", "b"], "has 2 items, not 1 to 1"),
    (list_of(text()), [], "has 0 items, not 1 to 200"),
]


@pytest.mark.parametrize(("field", "value", "accepted"), ACCEPTED)
def test_a_value_is_accepted_as_it_is_stored(field, value, accepted):
    found = accept(field, value)
    assert (found, type(found)) == (accepted, type(accepted))
    assert accept(field, found) == found
    assert accept(field, value, strict=False) == accepted


@pytest.mark.parametrize(("field", "value", "problem"), REFUSED)
def test_another_value_is_refused_with_its_problem(field, value, problem):
    for strict in (True, False):
        with pytest.raises(NotAcceptedError) as refused:
            accept(field, value, strict=strict)
        assert problem in str(refused.value)
        assert refused.value.path == ()


@pytest.mark.parametrize(("field", "value", "_problem"), REFUSED)
def test_a_secret_value_is_in_no_error(field, value, _problem):
    for hidden in (secret(field), object_of({"s": secret(field)}), list_of(secret(field)), secret(list_of(field))):
        wrapped = {"s": value} if hidden.items else [value] if hidden.item else value
        if value is None and not hidden.items and not hidden.item:
            continue
        with pytest.raises(NotAcceptedError) as refused:
            accept(hidden, wrapped)
        assert str(refused.value) in ("is not what its field allows", "is null")


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        (object_of({"a": object_of({"b": text()})}), {"a": {"b": 5}}, ("a", "b")),
        (list_of({"n": money()}), [{"n": "1"}, {"n": "x"}], (1, "n")),
        (list_of(list_of(date())), [["x"]], (0, 0)),
        (object_of({"a": text()}), {}, ("a",)),
        (object_of({"a": object_of({"b": text()})}), {"a": {}}, ("a", "b")),
        (object_of({"a": text()}), {"a": "x", "c": 1}, ("c",)),
        (object_of({"a": text()}), {"a": None}, ("a",)),
    ],
)
def test_an_error_names_the_place_of_the_value(field, value, path):
    with pytest.raises(NotAcceptedError) as refused:
        accept(field, value)
    assert refused.value.path == path


def test_a_member_beside_the_fields_is_refused_or_left_out():
    field = object_of({"a": list_of({"b": text()})})
    value = {"a": [{"b": "x", "more": 1}], "more": 2}
    assert accept(field, value, strict=False) == {"a": [{"b": "x"}]}
    with pytest.raises(NotAcceptedError, match="is no field of this object"):
        accept(field, value)


@quick
@given(st.decimals(-(10**9), 10**9, places=7), st.integers(7, 30))
def test_any_decimal_keeps_its_value_and_has_all_of_its_places(value, places):
    accepted = accept(decimal(places), format(value, "f"))
    assert Decimal(accepted) == value
    assert len(accepted.partition(".")[2]) == places


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals(allow_nan=True) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
FIELDS = st.sampled_from([field for field, *_ in ACCEPTED])


@quick
@given(field=FIELDS, value=ANYTHING, flags=st.fixed_dictionaries({"nullable": st.booleans(), "secret": st.booleans()}))
def test_any_value_is_accepted_or_refused(field: Field, value, flags):
    with suppress(NotAcceptedError):  # any other error fails the test
        accept(replace(field, **flags), value)
