"""Request bodies and path parameters. Amounts are decimal numbers on the wire and whole cents inside."""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load, validate

from participants.barrier import Refused, json_object

LARGEST_INTEGER = 2**63 - 1
LARGEST_AMOUNT = 10**14
LONGEST_TEXT = 200

#: The part of a route that takes a client's id. The maximum excludes numbers that the database cannot store.
CLIENT_ID = f"<int(max={LARGEST_INTEGER}):client_id>"

_FRENCH = {"product_id": "produit_id", "quantity": "quantite", "price": "prix"}


class Amount(fields.Field[int]):
    """A number with at most two decimals. Its text is converted to cents, because float arithmetic would round."""

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
    """A text, or an integer that is converted to text."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValidationError("Not a text nor an integer.")
        text = str(value)
        if not (1 <= len(text) <= LONGEST_TEXT and text.isprintable()):
            raise ValidationError(f"Must be 1 to {LONGEST_TEXT} printable characters.")
        return text


class Body(Schema):
    """A request body. Unknown fields are ignored."""

    class Meta:
        unknown = EXCLUDE


class Line(Body):
    """A line of a cart, order or sale. The keys may be French or English; answers have French keys."""

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
    """Return the total quantity of each product, sorted by product. The fixed order of row locks prevents deadlocks."""
    total: Counter[str] = Counter()
    for line in lines:
        total[line["produit_id"]] += line["quantite"]
    return sorted(total.items())


def on_the_wire(cents: int) -> float:
    """Return an amount in cents as a decimal number."""
    return float(Decimal(cents).scaleb(-2))


def whole_cents(amount: float) -> int:
    """Return the cents of an amount from the wire."""
    return int(Decimal(str(amount)).scaleb(2))


def read_body(schema: Schema) -> dict[str, Any]:
    """Return the validated body of the request. Raise Refused with the names of the invalid fields."""
    try:
        return dict(schema.load(json_object()))
    except ValidationError as error:
        wrong = error.messages_dict
        raise Refused(400, "Invalid body", f"Invalid: {', '.join(map(str, wrong))}", errors=wrong) from error
