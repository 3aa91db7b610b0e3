"""Conditions: the value of `when=`, a closed set of comparisons over a saga's data and replies.

A condition is pure data: it is checked at import, decided by `machines.deciding`, and shown in diagrams.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from machines.templates import Function, Value, described, references
from machines.words import word

#: A number, as a constant may be written as a text.
_NUMBER = re.compile(r"-?\d{1,100}(\.\d{1,100})?", re.ASCII)
#: Texts that are shown without quotes.
_BARE = re.compile(r"[^\W\d][\w-]*( [\w-]+){0,3}")
_WORDS = frozenset({"true", "false", "null", "missing"})


@dataclass(frozen=True)
class Condition:
    """One comparison, or several conditions joined by all_of(), any_of() or not_()."""

    #: Name in the table, such as "equal".
    test: str
    #: Of a comparison: the value, then the constants. Of all_of(), any_of() and not_(): the conditions.
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        return _PHRASES[self.test](self.arguments)


@word
def equal(value: Value, constant: Any, /) -> Condition:
    """Return a condition that holds when the value is the constant: a text, a number, True or False."""
    return Condition("equal", (value, constant))


@word
def above(value: Value, constant: Any, /) -> Condition:
    """Return a condition that holds for a number, date or moment above the constant."""
    return Condition("above", (value, _ordered(constant)))


@word
def below(value: Value, constant: Any, /) -> Condition:
    """Return a condition that holds for a number, date or moment below the constant."""
    return Condition("below", (value, _ordered(constant)))


@word
def between(value: Value, low: Any, high: Any, /) -> Condition:
    """Return a condition that holds for a number, date or moment from `low` to `high`, both included."""
    return Condition("between", (value, _ordered(low), _ordered(high)))


@word
def one_of(value: Value, /, *constants: Any) -> Condition:
    """Return a condition that holds when the value is one of the constants."""
    return Condition("one_of", (value, *constants))


@word
def is_true(value: Value, /) -> Condition:
    """Return a condition that holds when a boolean is true."""
    return Condition("is_true", (value,))


@word
def present(reference: str, /) -> Condition:
    """Return a condition that holds when the value is there, and is not null."""
    return Condition("present", (reference,))


@word
def all_of(*conditions: Condition) -> Condition:
    """Return a condition that holds when each of them holds."""
    return Condition("all_of", conditions)


@word
def any_of(*conditions: Condition) -> Condition:
    """Return a condition that holds when one of them holds."""
    return Condition("any_of", conditions)


@word
def not_(condition: Condition, /) -> Condition:
    """Return a condition that holds when the other one does not. It is undecided when the other one is undecided."""
    return Condition("not_", (condition,))


#: Tests whose arguments are conditions.
JOINING = frozenset({"all_of", "any_of", "not_"})
#: Tests that put values in an order.
ORDERED = frozenset({"above", "below", "between"})


def _ordered(constant: Any) -> Any:
    """Return the exact number of a text such as "12.50"; any other constant unchanged."""
    return Decimal(constant) if isinstance(constant, str) and _NUMBER.fullmatch(constant) else constant


def constant_of(argument: Any) -> Any:
    """Return the constant that a comparison compares with; const() may surround it."""
    return argument.arguments[0] if isinstance(argument, Function) and argument.name == "const" else argument


def references_of(condition: Condition) -> tuple[str, ...]:
    """Return every reference of a condition."""
    return tuple(each for _, value, _context in guarded(condition) for each in references(value))


def required_references(condition: Condition) -> tuple[str, ...]:
    """Return the references whose values the condition needs; the others stand in present() or fallback()."""
    needed = [
        value
        for comparison, value, context in guarded(condition)
        if comparison.test != "present" and not is_present(value, context)
    ]
    return tuple(each for value in needed for each in references(value, optional=False))


def guarded(
    condition: Condition, context: tuple[Condition, ...] = ()
) -> Iterator[tuple[Condition, Value, tuple[Condition, ...]]]:
    """Yield each comparison with its value, and with the conditions that hold where the comparison is looked at.

    In all_of() the conditions before it hold. In any_of() those before it do not.
    """
    if condition.test == "not_":
        yield from guarded(condition.arguments[0], context)
    elif condition.test in JOINING:
        for each in condition.arguments:
            yield from guarded(each, context)
            context = (*context, each if condition.test == "all_of" else negated(each))
    else:
        yield condition, condition.arguments[0], context


def negated(condition: Condition) -> Condition:
    """Return the opposite of a condition."""
    return condition.arguments[0] if condition.test == "not_" else not_(condition)


def is_present(value: Value, context: tuple[Condition, ...]) -> bool:
    """Return True when one of the conditions says that the value of a reference is there."""
    return isinstance(value, str) and any(each.test == "present" and each.arguments[0] == value for each in context)


def shown(value: Any) -> str:
    """Return a value or a constant in words: a text without quotes where it cannot be mistaken for another value."""
    value = constant_of(value)
    match value:
        case None:
            return "missing"
        case bool():
            return "true" if value else "false"
        case str():
            return value if _BARE.fullmatch(value) and value not in _WORDS else f'"{value}"'
        case Decimal():
            return format(value, "f")
    return str(value)


def _phrase(condition: Condition) -> str:
    """Return a comparison without its value, such as `is above 100`."""
    return str(condition).removeprefix(described(condition.arguments[0])).strip()


def _not(condition: Condition) -> str:
    if condition.test in ("all_of", "any_of"):
        return f"not ({condition})"
    if condition.test == "not_":
        return str(condition.arguments[0])
    return f"{described(condition.arguments[0])} {_phrase(condition).replace('is ', 'is not ', 1)}"


def _joined(word: str, conditions: tuple[Condition, ...]) -> str:
    return f" {word} ".join(f"({each})" if each.test in ("all_of", "any_of") else str(each) for each in conditions)


_PHRASES: Mapping[str, Callable[[tuple[Any, ...]], str]] = MappingProxyType({
    "equal": lambda found: f"{described(found[0])} is {shown(found[1])}",
    "above": lambda found: f"{described(found[0])} is above {shown(found[1])}",
    "below": lambda found: f"{described(found[0])} is below {shown(found[1])}",
    "between": lambda found: f"{described(found[0])} is between {shown(found[1])} and {shown(found[2])}",
    "one_of": lambda found: f"{described(found[0])} is one of {', '.join(map(shown, found[1:]))}",
    "is_true": lambda found: f"{described(found[0])} is true",
    "present": lambda found: f"{described(found[0])} is present",
    "all_of": lambda found: _joined("and", found),
    "any_of": lambda found: _joined("or", found),
    "not_": lambda found: _not(found[0]),
})  # fmt: skip
