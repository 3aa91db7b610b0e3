"""The rules for tags=. A table may get tags while its sagas run."""

import pytest

from machines.comparison import Effect, compare
from machines.fields import (
    amount,
    anything,
    boolean,
    choice,
    date,
    decimal,
    integer,
    list_of,
    number,
    object_of,
    optional,
    secret,
    text,
    uuid,
)
from tests.unit.machines.tables import look, saga

ID = {"client_id": integer()}


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        (list_of({"c": text()}), "which is a list; name a field that holds one value"),
        (object_of({"a": text()}), "which is an object; name a field that holds one value"),
        (anything(), "which may be a list or an object; name a field that holds one value"),
        (
            text(high=201),
            "which may hold 201 characters, and a value to search sagas by has 200 at most; give the field",
        ),
        (number(), "whose equal values may be written differently; make it a money() or a decimal()"),
        (amount(), "whose equal values may be written differently; make it a money() or a decimal()"),
        (secret(text()), "which is secret, and the index of tags would show it; take it out"),
    ],
)
def test_a_tag_that_cannot_be_searched_by_is_refused(refusal, field, problem):
    assert f"sale v1: tags= names 'f', {problem}" in refusal(look(), data=ID | {"f": field}, tags=("f",))


@pytest.mark.parametrize(
    ("tags", "problem"),
    [
        (("client",), "tags= names 'client', which is no field of data; did you mean 'client_id'? or take it out"),
        (("client_id", "client_id"), "tags= names 'client_id' twice; take one out"),
        ("client_id", "tags= is 'client_id', no tuple; write ('customer',), with a comma after the only one"),
        ((5,), "tags= holds 5 is no text; write a name in quotes"),
    ],
)
def test_tags_name_different_fields_of_the_data(refusal, tags, problem):
    assert refusal(look(), data=ID, tags=tags) == f"sale v1: {problem}"


def test_a_table_has_eight_tags_at_most(refusal):
    fields = {f"f{number}": text() for number in range(9)}
    message = refusal(look(), data=ID | fields, tags=tuple(fields))
    assert message == "sale v1: tags= names 9 fields, and each costs every start a row; name 8 at most"
    assert saga(look(), data=ID | fields, tags=tuple(fields)[:8])


def test_fields_of_one_value_can_be_tags():
    fields = {
        "a": text(), "b": integer(), "c": boolean(), "d": date(), "e": uuid(), "f": choice("x", "y"), "g": decimal(2),
        "h": optional(text()),
    }  # fmt: skip
    assert saga(look(), data=ID | fields, tags=tuple(fields)[:8]).tags == tuple(fields)


def test_new_tags_need_no_new_version_and_saga_diff_names_them():
    plain, tagged = saga(look(), data=ID), saga(look(), data=ID, tags=("client_id",))
    assert plain.digest == tagged.digest
    found = compare(plain, tagged)
    assert found.effect is Effect.WORDING
    assert [each.text for each in found.differences] == ['tags was nothing and is ["client_id"]']
