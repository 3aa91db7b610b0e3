"""What a step does with money, for the people who read its sagas: `amount=taken("price", "EUR")` or `paid("price")`.

It is wording: nothing is sent because of it, and it may change under a running saga.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any

from machines.lines import shortened
from machines.references import MASKED, FillError, look_up
from machines.words import word

#: Largest number of characters of an amount; a reply may hold any text.
_LONGEST = 40
#: Digits of a sum: enough for any amounts of this length.
_PRECISION = 3 * _LONGEST
_CENTS = 2


#: Characters of a currency: its code in ISO 4217.
CURRENCY_LETTERS = 3


@dataclass(frozen=True)
class Amount:
    """The amount that a step moves."""

    #: The word of the table: "taken" or "paid".
    name: str
    #: The reference to the amount, and the currency if the table names one, as the table writes them in differences.
    arguments: tuple[str, ...]

    @property
    def reference(self) -> str:
        return self.arguments[0]

    @property
    def currency(self) -> str:
        """The currency's code of three letters; "": the table names none."""
        return self.arguments[1] if len(self.arguments) > 1 else ""

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.arguments))})"


@word
def taken(reference: str, currency: str = "", /) -> Amount:
    """Return the amount that a step takes from the customer; its undo gives the amount back."""
    return Amount("taken", (reference,) if currency == "" else (reference, currency))


@word
def paid(reference: str, currency: str = "", /) -> Amount:
    """Return the amount that a step pays to the customer; its undo takes the amount back."""
    return Amount("paid", (reference,) if currency == "" else (reference, currency))


def amount_text(amount: Amount, data: Mapping[str, Any], results: Mapping[str, Any]) -> str | None:
    """Return the amount of one saga as a number that people read; None: it is not known. results: step → its reply."""
    try:
        value = look_up(amount.reference, data, results)
    except FillError:
        return None
    if isinstance(value, bool) or value is MASKED or not isinstance(value, (str, int, float, Decimal)):
        return None
    if isinstance(value, (str, int)):
        return shortened(str(value), _LONGEST)
    exact = Decimal(str(value))
    exponent = exact.as_tuple().exponent
    exact = exact.quantize(Decimal("0.01")) if isinstance(exponent, int) and -_CENTS < exponent < 0 else exact
    return shortened(f"{exact:f}", _LONGEST)


def added(numbers: Sequence[str]) -> str:
    """Return the exact sum of the numbers of `amount_text`. What is no number is not added: "10 + ten"."""
    if len(numbers) == 1:
        return numbers[0]
    try:
        with localcontext(prec=_PRECISION):
            return f"{sum(map(Decimal, numbers)):f}"
    except InvalidOperation:
        return shortened(" + ".join(numbers), _LONGEST)
