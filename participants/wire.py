"""What travels in bodies and paths. Amounts are numbers on the wire and whole cents everywhere inside."""

import json
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from flask import request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load, validate

from participants.problem import Problem, Refused

LARGEST_INTEGER = 2**63 - 1
LARGEST_AMOUNT = 10**14
LONGEST_TEXT = 200

#: For a route: Flask's `int` alone lets a number through that no database can hold.
CLIENT_ID = f"<int(max={LARGEST_INTEGER}):client_id>"

_FRENCH = {"product_id": "produit_id", "quantity": "quantite", "price": "prix"}


class Amount(fields.Field[int]):
    """A number with at most two decimals. It goes through its shortest text: no float is ever calculated with."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValidationError("Not a number.")
        cents = Decimal(str(value)).scaleb(2)
        if not (cents.is_finite() and 0 <= cents <= LARGEST_AMOUNT and cents == int(cents)):
            raise ValidationError("Must be an amount of at least 0 with at most two decimals.")
        return int(cents)

    def _serialize(self, value: int | None, *_: Any, **__: Any) -> float | None:
        return None if value is None else on_the_wire(value)


class Identifier(fields.Field[str]):
    """A text, or an integer that is then read as its digits."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValidationError("Not a text nor an integer.")
        text = str(value)
        if not (1 <= len(text) <= LONGEST_TEXT and text.isprintable()):
            raise ValidationError(f"Must be 1 to {LONGEST_TEXT} printable characters.")
        return text


class Body(Schema):
    """A tolerant reader: fields it does not know are left alone."""

    class Meta:
        unknown = EXCLUDE


class Line(Body):
    """Read in French or in English, answered in French."""

    produit_id = Identifier(required=True)
    quantite = fields.Integer(required=True, strict=True, validate=validate.Range(1, 10**9))
    prix = Amount()

    @pre_load
    def in_french(self, line: Any, **_: Any) -> Any:
        return {_FRENCH.get(name, name): value for name, value in line.items()} if isinstance(line, dict) else line


class PricedLine(Line):
    prix = Amount(required=True)


def lines(line: type[Line] = Line) -> fields.List[dict[str, Any]]:
    return fields.List(fields.Nested(line), required=True, validate=validate.Length(1, 200))


def per_product(lines: Iterable[dict[str, Any]]) -> list[tuple[str, int]]:
    """Add up the lines of each product. In one order for all: two who lock rows in turn would else wait forever."""
    total: Counter[str] = Counter()
    for line in lines:
        total[line["produit_id"]] += line["quantite"]
    return sorted(total.items())


def on_the_wire(cents: int) -> float:
    return float(Decimal(cents).scaleb(-2))


def whole_cents(amount: float) -> int:
    """Read an amount that a participant has answered."""
    return int(Decimal(str(amount)).scaleb(2))


def read_body(schema: Schema) -> dict[str, Any]:
    """Give the request's body, checked; refuse it with the names of the fields that are wrong."""
    try:
        return dict(schema.load(json_object()))
    except ValidationError as error:
        wrong = error.messages_dict
        raise Refused(400, "Invalid body", f"Invalid: {', '.join(map(str, wrong))}", errors=wrong) from error


def json_object() -> dict[str, Any]:
    """Give the request's body; no body at all counts as an empty object."""
    if not request.get_data():
        return {}
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise Problem(400, "Invalid body", "The body must be a JSON object")
    return body


def canonical(body: dict[str, Any]) -> str:
    """Give the one text all equal objects share."""
    try:
        return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError:
        raise Problem(400, "Invalid body", "NaN and infinity are no JSON") from None
