"""Exact numbers, read, added and written without rounding, and the JSON that a function of an author returns."""

import re
from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Any

from machines.references import FillError, scalar_text, unstorable_text

#: Exact arithmetic with 5,000 digits. Numbers of replies have 400 at most; Python's default would round to 28.
_EXACTLY = Context(prec=5_000)
#: The integers that are sent as they are. A larger one becomes a Decimal, which `app.values` writes exactly.
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
#: A number as text. Python accepts more, such as "1_0", "1e999999999" and "NaN".
_NUMBER = re.compile(r"[+-]?(\d{1,1000}(\.\d{0,1000})?|\.\d{1,1000})", re.ASCII)
_LONGEST = 1_000  # most digits of a number that an author's function returns
_DEEPEST = 100  # levels of objects and lists that a function of the author returns


def as_json(value: Any, depth: int = _DEEPEST) -> Any:
    """Return the result of an author's function in the form that is sent. Raise TypeError when it is not JSON."""
    if depth == 0:
        raise TypeError(f"it returned a value that is nested deeper than {_DEEPEST}")
    match value:
        case None | bool():
            return value
        case str():
            if unstorable_text(value):
                raise TypeError("it returned a text with a NUL or a lone surrogate, which is no JSON")
            return value
        case int() | float() | Decimal():
            return _json_number(value)
        case Mapping() if all(isinstance(name, str) for name in value):
            return {as_json(name, depth): as_json(each, depth - 1) for name, each in value.items()}
        case list() | tuple():
            return [as_json(each, depth - 1) for each in value]
    raise TypeError(f"it returned a {type(value).__name__}, which is no JSON")


def _json_number(value: float | Decimal) -> int | float | Decimal:
    exact = Decimal(value)
    if not exact.is_finite() or abs(exact.adjusted()) >= _LONGEST:
        raise TypeError(f"it returned {exact if not exact.is_finite() else 'a number of too many digits'}")
    return _integer(value) if isinstance(value, int) else value


def _integer(value: int) -> int | Decimal:
    return value if _SMALLEST <= value <= _LARGEST else Decimal(value)


def exact_number(value: Any) -> Decimal:
    """Return the exact value of a JSON number, or of a number as text. Raise FillError for any other value."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal, str)):
        raise FillError(f"{scalar_text('the value', value, 'a sum')} is no number")
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise FillError("the value is no number")
    exact = Decimal(str(value))
    if not exact.is_finite():
        raise FillError("the value is no number")
    return exact


def cents_of(value: Any) -> int | Decimal:
    """Return an amount in hundredths. Raise FillError when it has more than two decimals."""
    exact = _EXACTLY.multiply(exact_number(value), Decimal(100))
    if exact != exact.to_integral_value(context=_EXACTLY):
        raise FillError("it has more than two decimals")
    return _integer(int(exact))


def plain_number(exact: Decimal) -> int | Decimal:
    """Return the number without zeros at its end: 12 for 12.00, 12.5 for 12.50."""
    whole = exact == exact.to_integral_value(context=_EXACTLY)
    return _integer(int(exact)) if whole else exact.normalize(_EXACTLY)


def add(one: Decimal, other: Decimal) -> Decimal:
    """Return the sum, with the decimal places of the number that has more of them."""
    return _EXACTLY.add(one, other)
