"""What a step does with money, for the people who read its sagas: `amount=taken("price")` or `amount=paid("price")`.

It is wording: nothing is sent because of it, and it may change under a running saga.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from machines.lines import shortened
from machines.references import MASKED, FillError, look_up
from machines.words import word

#: Largest number of characters of an amount; a reply may hold any text.
_LONGEST = 40
_CENTS = 2


@dataclass(frozen=True)
class Amount:
    """The amount that a step moves."""

    #: The word of the table: "taken" or "paid".
    name: str
    #: The reference to the amount, alone in a tuple, so that it is written in differences as the table writes it.
    arguments: tuple[str]

    @property
    def reference(self) -> str:
        return self.arguments[0]

    def __str__(self) -> str:
        return f"{self.name}({self.reference})"


@word
def taken(reference: str, /) -> Amount:
    """Return the amount that a step takes from the customer; its undo gives the amount back."""
    return Amount("taken", (reference,))


@word
def paid(reference: str, /) -> Amount:
    """Return the amount that a step pays to the customer; its undo takes the amount back."""
    return Amount("paid", (reference,))


def amount_text(amount: Amount, data: Mapping[str, Any], results: Mapping[str, Any]) -> str | None:
    """Return the amount of one saga as people read it; None while it is not known. results: step → its reply."""
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
