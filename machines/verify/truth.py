"""What a condition says: a second reading of conditions, three-valued.

The search compares it with what the engine decides (`machines.deciding`), so a mistake there does not hide itself.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from machines.condition_logic import Fields, Sample, samples_of
from machines.conditions import Condition, constant_of, guarded
from machines.deciding import UndecidedError, holds
from machines.fields import Field
from machines.templates import Value, described
from machines.verify.fitting import UnfitError, fitted
from machines.verify.values import Sources, UnknownError, value_of

#: Most samples of one condition on which the two readings differ that are searched.
_MOST_DISPUTED = 2
#: Values that a careless test takes for a missing one.
_NOTHING: Sequence[Any] = ("", 0, False, [], {})
_OF_A_NUMBER = frozenset("+-.0123456789")
_LENGTH_OF_DATE = len("2026-01-31")
#: Returns a value; None: it is missing.
Find = Callable[[Value], Any]


def truth(condition: Condition, find: Find) -> bool | None:
    """Return if a condition holds; None: it cannot be decided. It is read from left to right, as far as needed."""
    value, *others = condition.arguments
    if condition.test == "not_":
        inner = truth(value, find)
        return None if inner is None else not inner
    if condition.test in ("all_of", "any_of"):
        goes_on = condition.test == "all_of"
        return next((each for each in _each(condition.arguments, find) if each is not goes_on), goes_on)
    found = find(value)
    if condition.test == "present":
        return found is not None
    return None if found is None else _compared(condition.test, found, [constant_of(each) for each in others])


def truth_for(condition: Condition, data: Mapping[str, Any], results: Mapping[str, Any]) -> bool | None:
    """Return what a condition says for one saga. results: the replies, by step."""

    def find(value: Value) -> Any:
        try:
            return value_of(value, Sources(data, results))
        except UnknownError:
            return None

    return truth(condition, find)


def example(holding: Sequence[Condition], failing: Sequence[Condition], fields: Fields) -> Sample | None:
    """Return values for which each condition of `holding` holds and none of `failing`; None: there are none.

    Raise OverflowError when there are too many combinations to try.
    """
    wanted = [*((each, True) for each in holding), *((each, False) for each in failing)]
    for sample in samples_of([*holding, *failing], fields):
        if all(truth(each, _in(sample)) is result for each, result in wanted):
            return sample
    return None


def disputed(condition: Condition, fields: Fields, types: Fields | None = None) -> Iterator[Sample]:
    """Yield values on which the engine decides something else: on the limits of a comparison, and on both sides.

    types: of the values that must be legal; default: fields.
    """
    found = 0
    for sample in _tried(condition, fields, fields if types is None else types):
        if found < _MOST_DISPUTED and _decided(condition, _in(sample)) is not truth(condition, _in(sample)):
            found += 1
            yield sample


def _tried(condition: Condition, fields: Fields, types: Fields) -> Iterator[Sample]:
    """Yield the samples of a condition, and each one with a near miss of a constant."""
    yield from samples_of([condition], fields)
    first = next(samples_of([condition], fields), {})
    for test, value, _ in guarded(condition):
        name = described(value)
        others = [each for each in samples_of([condition], fields) if repr(each[name]) == repr(first[name])]
        nothing = _NOTHING if test.test == "present" else ()
        for near in (*nothing, *near_misses([constant_of(each) for each in test.arguments[1:]] or [True])):
            if is_legal(types.get(name), near):
                yield from ({**sample, name: near} for sample in others)


def near_misses(constants: Sequence[Any]) -> Iterator[Any]:
    """Yield values that a careless comparison takes for a constant, or for a value on the other side of it."""
    for constant in constants:
        if isinstance(constant, bool):
            yield from (int(constant), str(constant), str(constant).lower(), str(int(constant)))
        elif not isinstance(constant, str):
            yield from (bool(constant), str(constant), f"{constant}x")
        else:
            yield from (constant.swapcase(), f"{constant}x", constant[:-1], f" {constant}", f"{constant} ")
            moment = _place(constant, constant)
            if isinstance(moment, dt.datetime):
                yield from (
                    (moment + dt.timedelta(seconds=sign))
                    .replace(tzinfo=dt.timezone(dt.timedelta(hours=2 * sign)))
                    .isoformat()
                    for sign in (1, -1)
                )


def is_legal(field: Field | None, value: Any) -> bool:
    """Return True when a value has this type, or when the type is not known."""
    try:
        return field is None or bool(fitted(field, value) == value)
    except UnfitError:
        return False


def _each(conditions: Sequence[Condition], find: Find) -> Iterator[bool | None]:
    return (truth(each, find) for each in conditions)


def _in(sample: Sample) -> Find:
    return lambda value: sample[described(value)]


def _decided(condition: Condition, find: Find) -> bool | None:
    try:
        return holds(condition, find)
    except UndecidedError:
        return None


def _compared(test: str, value: Any, constants: Sequence[Any]) -> bool | None:
    if test == "is_true":
        return value if isinstance(value, bool) else None
    if test in ("equal", "one_of"):
        return next((same for each in constants if (same := _equals(value, each)) is not False), False)
    limits = [_place(each, each) for each in constants]
    at = _place(value, constants[0])
    if at is None or any(type(each) is not type(at) for each in limits):
        return None
    low, high = limits[0], limits[-1]
    return bool({"above": at > low, "below": at < high, "between": low <= at <= high}[test])


def _equals(value: Any, constant: Any) -> bool | None:
    if isinstance(constant, bool) or isinstance(value, bool):
        return value is constant if isinstance(constant, bool) and isinstance(value, bool) else None
    if isinstance(constant, str):
        return value == constant if isinstance(value, str) else None
    number = _place(value, constant)
    return None if number is None else bool(number == constant)


def _place(value: Any, like: Any) -> Any:
    """Return a value in an order: a number where `like` is one, otherwise a date or a moment; None: it is none."""
    is_text = isinstance(value, str)
    if isinstance(value, bool) or not (is_text or isinstance(value, int | float | Decimal)):
        return None
    try:
        if not isinstance(like, str):
            return Decimal(str(value)) if not is_text or set(value) <= _OF_A_NUMBER else None
        if is_text and len(value) == _LENGTH_OF_DATE:
            return dt.date.fromisoformat(value)
        moment = dt.datetime.fromisoformat(value.upper()) if is_text else None
    except (ValueError, ArithmeticError):
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
