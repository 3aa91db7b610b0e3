"""`saga verify` finds an engine that keeps a value which its type refuses, or keeps it otherwise."""

import pytest

from machines import (
    Retry,
    accepting,
    amount,
    anything,
    boolean,
    choice,
    compensatable,
    date,
    datetime,
    decimal,
    integer,
    keeps,
    list_of,
    money,
    nullable,
    number,
    object_of,
    optional,
    pivot,
    post,
    text,
    uuid,
)
from machines.accepting import NotAcceptedError, accept
from machines.verify import verify
from machines.verify.fitting import UnfitError, fitted, otherwise, unfit
from machines.verify.values import same
from tests.unit.machines.tables import saga
from tests.unit.machines.verify.family_guards import Guard
from tests.unit.machines.verify.written import faults_without

FIELDS = {
    "count": integer(1, 9), "code": text(2, 2), "price": money(), "rate": decimal(5), "whole": decimal(0),
    "fee": amount(), "size": number(), "day": date(), "time": datetime(), "key": uuid(), "flag": boolean(),
    "kind": choice("good", "bad"), "names": list_of(text(), high=2),
    "guest": object_of({"name": text(), "age": optional(integer())}),
    "note": nullable(text()), "more": optional(text()), "rest": anything(),
}  # fmt: skip
VALUES = (
    None, True, 0, 5, 9.0, 10, -1, 1.5, 0.125, 1e12, "", "xy", "x", "12.5", "12.50", "-0.00", "1e3", ".5", "2027-01-31",
    "2027-02-30", "20270131", "2027-01-31T09:30:00Z", "2027-01-31T09:30:00", "11111111-2222-4333-8444-555555555555",
    "good", "GOOD", [], ["a"], ["a", "b", "c"], [7], {}, {"name": "a"}, {"name": "a", "age": "7"},
    {"name": "a", "x": 1},
)  # fmt: skip


class ReaderGuard(Guard):
    """A guard in the reader of one type."""

    def remove(self, patch):
        changed, original = self._changed(), getattr(self.owner, self.function)
        known = accepting._READERS
        patch.setattr(
            accepting, "_READERS", {kind: changed if each is original else each for kind, each in known.items()}
        )


def keeping():
    names = ("count", "code", "price", "fee", "day", "key", "flag", "kind", "names", "more")
    make = post("shop", "/a", keeps={name: FIELDS[name] for name in names})
    twice = Retry(attempts=2)
    return saga(
        compensatable("a", make, undo=post("shop", "/a/undo"), done="A", refused="NO_A", retry=twice),
        pivot("b", post("shop", "/b", count="a.count"), done="DONE", refused="NO_B", retry=twice),
    )


def reader(function, guard, without):
    return ReaderGuard(owner=accepting, function=function, table="keeping", text=guard, without=without)


GUARDS = {
    "a_boolean_is_no_integer": reader("_integer", " or isinstance(value, bool)", ""),
    "an_integer_is_within_its_limits": reader("_integer", "_within(field, value, _shown(value))", "pass"),
    "an_amount_has_two_decimals": reader("_amount", "_places(exact, CENTS, value)", "pass"),
    "a_decimal_has_all_its_places": reader("_decimal", 'return text.removeprefix("-") if exact == 0 else text',
                                           "return str(value)"),
    "a_decimal_has_no_more_places": reader("_decimal", "_places(exact, field.places, value)", "pass"),
    "a_text_is_not_too_short": reader("_text", "not field.low <= len(value)", "not len(value)"),
    "a_text_is_not_too_long": reader("_text", "<= field.high", ""),
    "a_date_has_its_hyphens": reader("_date", ".isoformat() == value", ""),
    "a_uuid_has_its_hyphens": reader("_uuid", "str(UUID(value)) == value.lower()", "UUID(value)"),
    "a_number_is_no_boolean": reader("_boolean", "not isinstance(value, bool)", "value not in (True, False)"),
    "a_choice_has_its_case": reader("_choice", "value in field.choices", "value.lower() in field.choices"),
    "an_optional_value_is_no_null": Guard(owner=accepting, function="accept", table="keeping", users=(keeps,),
                                          text="field.nullable or", without="field.nullable or field.optional or"),
    "a_list_is_not_too_long": Guard(owner=accepting, function="_list", table="keeping", text="<= field.high",
                                    without=""),
}  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
def test_second_reading_of_a_type_is_that_of_the_engine(name):
    field = FIELDS[name]
    for value in (*VALUES, *unfit(field)):
        try:
            kept = accept(field, value, strict=False)
        except NotAcceptedError:
            with pytest.raises(UnfitError):
                fitted(field, value)
        else:
            assert same(fitted(field, value), kept), value


def test_a_decimal_in_another_form_is_stored_alike():
    assert accept(FIELDS["price"], otherwise(FIELDS["price"], "12.50")) == "12.50"


@pytest.mark.parametrize("guard", GUARDS)
def test_verify_finds_a_value_that_is_kept_although_its_type_refuses_it(guard):
    (fault,) = faults_without(GUARDS[guard], keeping, most_states=20_000)
    assert fault.broken == "as the table says"
    assert len(fault.path) <= 3


def test_engine_with_every_guard_has_no_fault():
    result = verify(keeping())
    assert (result.faults, result.complete) == ([], True)
