"""Data and replies for the conditions of a table: samples for which each condition holds, and for which it does not."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from machines import samples
from machines.condition_logic import example
from machines.conditions import Condition, references_of
from machines.references import split
from machines.saga import Saga
from machines.step import Step
from machines.verify.replying import put

#: Most conditions about the data of one table; each combination of their results is searched.
MOST_CONDITIONS = 6


def data_of(definition: Saga) -> Iterator[Mapping[str, Any]]:
    """Yield data for each combination of results that the conditions about the data of a saga can have."""
    data = samples.example(definition.data)
    names = {step.name for step in definition.steps}
    about = [each for each in _conditions(definition) if not any(split(ref)[0] in names for ref in references_of(each))]
    if len(about) > MOST_CONDITIONS:
        raise OverflowError(f"it has {len(about)} conditions about its data, and {MOST_CONDITIONS} are explored")
    for results in itertools.product((True, False), repeat=len(about)):
        holding = [each for each, holds in zip(about, results, strict=True) if holds]
        failing = [each for each, holds in zip(about, results, strict=True) if not holds]
        found = example(holding, failing, dict(definition.data))
        if found is not None:
            yield _filled(data, found.items())


def bodies_of(definition: Saga, step: Step, body: Any) -> Iterator[Any]:
    """Yield the body of a success, with values for which each condition about it holds, and does not."""
    yield body
    for condition in _conditions(definition):
        if not any(split(reference)[0] == step.name for reference in references_of(condition)):
            continue
        for holding, failing in (([condition], []), ([], [condition])):
            found: Mapping[str, Any] = example(holding, failing, {}) or {}
            own = {split(name)[1]: value for name, value in found.items() if split(name)[0] == step.name}
            yield _filled(body, own.items())


def _conditions(definition: Saga) -> Sequence[Condition]:
    found = {str(step.when): step.when for step in definition.steps if step.when is not None}
    return list(found.values())


def _filled(body: Any, values: Any) -> Any:
    for path, value in values:
        body = put(body, path, value)
    return body
