"""What can be proved about conditions: that one implies another, that two exclude each other, that one always holds.

The proof tries sample values: for each value that the conditions compare, one sample on each side of each constant, and
each constant itself. Between two constants a comparison does not change, so these samples stand for all values. Values
of different references count as independent of each other.
"""

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from machines.conditions import Condition, constant_of, guarded
from machines.deciding import UndecidedError, as_moment, holds
from machines.fields import Field, FieldKind
from machines.templates import described

#: Largest number of combinations of samples that are tried; beyond it nothing is proved.
MOST_TRIED = 20_000
#: Value → its type; None: not known.
Fields = Mapping[str, Field | None]
#: Value → a sample of it; None: the value is missing.
Sample = Mapping[str, Any]


def subjects(conditions: Sequence[Condition]) -> list[str]:
    """Return the values that the conditions compare, as the table writes them."""
    return list(dict.fromkeys(described(value) for each in conditions for _, value, _context in guarded(each)))


def example(holding: Sequence[Condition], failing: Sequence[Condition], fields: Fields) -> Sample | None:
    """Return values for which each condition of `holding` holds and none of `failing` does; None: there are none.

    Raise OverflowError when there are too many combinations to try.
    """
    tried = samples_of([*holding, *failing], fields)
    return next((sample for sample in tried if _fits(sample, holding, failing)), None)


def samples_of(conditions: Sequence[Condition], fields: Fields) -> Iterator[Sample]:
    """Yield values for the conditions: each limit of a comparison, and both sides of it, in every combination.

    Raise OverflowError when there are too many combinations to try.
    """
    samples = {name: list(_samples(name, conditions, fields.get(name))) for name in subjects(conditions)}
    tried = 1
    for each in samples.values():
        tried *= len(each)
    if tried > MOST_TRIED:
        raise OverflowError(f"{tried} combinations")
    for values in itertools.product(*samples.values()):
        yield dict(zip(samples, values, strict=True))


def implies(holding: Sequence[Condition], condition: Condition, fields: Fields) -> bool:
    """Return True when it is proved that the condition holds wherever those of `holding` do."""
    try:
        return example(holding, [condition], fields) is None
    except OverflowError:
        return False


def _fits(sample: Sample, holding: Sequence[Condition], failing: Sequence[Condition]) -> bool:
    """Return False also when a condition is undecided, because its step is then refused."""
    try:
        return all(holds(each, lambda value: sample[described(value)]) for each in holding) and not any(
            holds(each, lambda value: sample[described(value)]) for each in failing
        )
    except UndecidedError:
        return False


def _samples(name: str, conditions: Sequence[Condition], field: Field | None) -> Iterator[Any]:
    comparisons = [
        comparison for each in conditions for comparison, value, _ in guarded(each) if described(value) == name
    ]
    tests = {comparison.test for comparison in comparisons}
    constants = {constant_of(each) for comparison in comparisons for each in comparison.arguments[1:]}
    if "present" in tests and (field is None or field.optional or field.nullable):
        yield None
    if field is not None and field.kind is FieldKind.CHOICE:
        yield from field.choices
        return
    if "is_true" in tests or any(isinstance(each, bool) for each in constants):
        yield from (True, False)
    texts = [each for each in constants if isinstance(each, str)]
    ordered = tests & {"above", "below", "between"}
    yield from _numbers([each for each in constants if type(each) in (int, Decimal)], field)
    if ordered:
        yield from _moments(texts)
    if tests & {"equal", "one_of"} and texts:
        yield from (*texts, "another text")
    if tests == {"present"}:
        yield "a value"


def _numbers(constants: Sequence[int | Decimal], field: Field | None) -> Iterator[int | Decimal]:
    known = sorted(set(constants))
    if known and field is not None and field.kind is not FieldKind.NUMBER:
        yield from (field.low, field.high)
    step: int | Decimal = 1
    if field is not None and field.kind in (FieldKind.DECIMAL, FieldKind.AMOUNT):
        step = Decimal(1).scaleb(-(field.places if field.kind is FieldKind.DECIMAL else 2))
    between = [] if field is not None and field.kind is not FieldKind.NUMBER else _middles(known)
    for each in sorted({*known, *(one + step for one in known), *(one - step for one in known), *between}):
        if field is None or field.kind is FieldKind.NUMBER or field.low <= each <= field.high:
            yield each


def _middles(known: Sequence[int | Decimal]) -> list[Decimal]:
    return [(Decimal(one) + Decimal(other)) / 2 for one, other in itertools.pairwise(known)]


def _moments(texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        moment = as_moment(text)
        unit = dt.timedelta(seconds=1) if isinstance(moment, dt.datetime) else dt.timedelta(days=1)
        yield from (each.isoformat() for each in (moment - unit, moment, moment + unit))
