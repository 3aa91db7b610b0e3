"""Decides conditions over the data and the replies of one saga.

A condition is decided from left to right, and only as far as needed: `all_of(present("note"), equal("note", "gift"))`
does not look at a note that is missing. A value that is missing, null or of another type decides nothing. The condition
is then undecided, which is neither true nor false.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from machines.conditions import Condition, constant_of, shown
from machines.exact import exact_number
from machines.references import NO_ROOTS, FillError
from machines.templates import Function, Value, described, fill

#: A date, and a date and time with a zone.
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:[0-5]\d)", re.ASCII)
#: Longest text of a value that the journal records, in characters.
_LONGEST_SEEN = 200


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a condition decides for one saga."""

    #: True or False; None: undecided.
    holds: bool | None
    #: The values that decided, by reference.
    seen: Mapping[str, Any]
    #: Why the condition is undecided; "" otherwise.
    problem: str = ""

    @property
    def reason(self) -> str:
        """The values in words, such as `country is FR`; for an undecided condition, what is wrong."""
        return self.problem or " and ".join(f"{name} is {shown(value)}" for name, value in self.seen.items())


class UndecidedError(ValueError):
    """A value is missing, null or of another type."""


def decide(condition: Condition, data: Mapping[str, Any], results: Mapping[str, Any]) -> Decision:
    """Return what the condition decides. results: the replies, by step."""
    seen: dict[str, Any] = {}

    def find(value: Value) -> Any:
        try:
            found = fill(value, data, results, NO_ROOTS)
        except FillError as error:
            if isinstance(value, Function):
                raise UndecidedError(str(error)) from None
            found = None
        seen[described(value)] = _recorded(found)
        return found

    try:
        return Decision(holds=holds(condition, find), seen=seen)
    except UndecidedError as error:
        return Decision(holds=None, seen=seen, problem=f"{condition} cannot be decided: {error}")


def holds(condition: Condition, find: Callable[[Value], Any]) -> bool:
    """Return True when the condition holds. find: returns a value, None for a missing one. Raise UndecidedError."""
    arguments = condition.arguments
    match condition.test:
        case "all_of":
            return all(holds(each, find) for each in arguments)
        case "any_of":
            return any(holds(each, find) for each in arguments)
        case "not_":
            return not holds(arguments[0], find)
    value, *constants = arguments
    found = find(value)
    if condition.test == "present":
        return found is not None
    if found is None:
        raise UndecidedError(f"{described(value)} is missing")
    try:
        return _TESTS[condition.test](found, *map(constant_of, constants))
    except (FillError, TypeError, ValueError):
        what = f"{described(value)} is {shown(_recorded(found))}"
        raise UndecidedError(f"{what}, which {condition.test}() does not take here") from None


def _recorded(value: Any) -> Any:
    """Return a value as the journal records it: short, and without the content of objects and lists."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    return value[:_LONGEST_SEEN] if isinstance(value, str) else value


def _same(value: Any, constant: Any) -> bool:
    """Return True for the same value. Raise TypeError when the value has another type than the constant."""
    if isinstance(constant, bool) or isinstance(value, bool):
        if isinstance(constant, bool) and isinstance(value, bool):
            return value == constant
        raise TypeError
    if isinstance(constant, (int, Decimal)):
        return bool(exact_number(value) == constant)
    if not isinstance(value, str):
        raise TypeError
    return bool(value == constant)


def _placed(value: Any, constant: Any) -> Any:
    """Return a value in the form in which it is compared with the constant: a number, a date or a moment."""
    if isinstance(constant, (int, Decimal)):
        return exact_number(value)
    moment = as_moment(value)
    if type(moment) is not type(as_moment(constant)):
        raise TypeError
    return moment


def as_moment(text: Any) -> dt.date:
    """Return the date, or the date and time, that a text has. Raise TypeError or ValueError for any other value."""
    if not isinstance(text, str):
        raise TypeError
    if _DATE.fullmatch(text):
        return dt.date.fromisoformat(text)
    if _MOMENT.fullmatch(text):
        return dt.datetime.fromisoformat(text.upper())
    raise ValueError


def _bound(constant: Any) -> Any:
    return constant if isinstance(constant, (int, Decimal)) else as_moment(constant)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


_TESTS: Mapping[str, Callable[..., bool]] = MappingProxyType({
    "equal": _same,
    "above": lambda value, constant: bool(_placed(value, constant) > _bound(constant)),
    "below": lambda value, constant: bool(_placed(value, constant) < _bound(constant)),
    "between": lambda value, low, high: bool(_bound(low) <= _placed(value, low) <= _bound(high)),
    "one_of": lambda value, *constants: any(_same(value, constant) for constant in constants),
    "is_true": _boolean,
})  # fmt: skip
