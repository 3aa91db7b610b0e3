"""The schema of a saga's data, and its description as JSON Schema."""

import json
from decimal import Decimal

import pytest
from marshmallow import ValidationError

from app.views.saga_data import data_schema, json_schema
from machines import amount, decimal, money
from machines.samples import example
from tests.unit.machines.tables import look, saga

DATA = {"price": amount(99.99, low="0.29"), "fee": money(low="0.01"), "rate": decimal(3, high="0.5")}
LEGAL = {"price": 1, "fee": "1.00", "rate": "0"}


def loaded(**values):
    table = saga(look(), data=DATA | {"client_id": amount()})
    return data_schema(table).load(LEGAL | {"client_id": 1} | values)


@pytest.mark.parametrize("price", [0.29, 99.99, Decimal("0.29"), Decimal("99.99"), 1])
def test_a_bound_with_decimals_is_exact(price):
    assert loaded(price=price)["price"] == price


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"price": 0.28}, "Must be greater than or equal to 0.29 and less than or equal to 99.99."),
        ({"price": 100}, "less than or equal to 99.99."),
        ({"fee": "0.00"}, "It is '0.00', not from 0.01 to 1000000000."),
        ({"rate": "0.501"}, "not from -1000000000 to 0.5."),
    ],
)
def test_a_value_beyond_a_bound_with_decimals_is_refused(wrong, problem):
    with pytest.raises(ValidationError, match=problem.replace(".", r"\.")):
        loaded(**wrong)


def test_the_description_and_the_example_are_plain_json():
    described = json.loads(json.dumps(json_schema(DATA)))["properties"]
    assert (described["price"]["minimum"], described["price"]["maximum"]) == (0.29, 99.99)
    assert described["rate"]["description"].startswith("a decimal from -1000000000 to 0.5 with at most 3 places")
    assert json.loads(json.dumps(example(DATA))) == {"price": 59.98, "fee": "59.98", "rate": "0.500"}
