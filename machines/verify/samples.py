"""Data and replies for the conditions and the lists of a table.

For each condition there are samples for which it holds, and for which it does not.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from machines.conditions import Condition, references_of
from machines.fields import Field, FieldKind
from machines.keeps import kept_of
from machines.references import FillError, look_up, parts, split
from machines.saga import Saga
from machines.step import Step
from machines.testing.successes import type_of
from machines.verify.disputes import disputed_data
from machines.verify.distinct import distinct, distinct_data, item_of, put
from machines.verify.truth import disputed, example, truth_for

_ANY = FieldKind.ANYTHING
#: Values of which some test says neither yes nor no.
_OF_OTHER_TYPES: tuple[Any, ...] = ("some text", 7, True, {"a": 1}, [])
#: Most conditions about the data of one table; each combination of their results is searched.
MOST_CONDITIONS = 6


def data_of(definition: Saga, items: int) -> Iterator[Mapping[str, Any]]:
    """Yield data for each combination of results that the conditions about the data of a saga can have.

    items: number of items of each list that each() goes through; once it has none.
    """
    for data in _data_of(definition):
        lists = {each: found for each in _lists(definition) if (found := _items(each, data)) is not None}
        full = _filled(
            data, [(each, _different(found, _field(definition, each), each, items)) for each, found in lists.items()]
        )
        yield full
        for each in lists:
            if _may_be_empty(definition, each):
                yield put(full, each, [])


def _data_of(definition: Saga) -> Iterator[Mapping[str, Any]]:
    data = distinct_data(definition.data)
    names = {step.name for step in definition.steps}
    about = [each for each in _conditions(definition) if not any(split(ref)[0] in names for ref in references_of(each))]
    if len(about) > MOST_CONDITIONS:
        raise OverflowError(f"it has {len(about)} conditions about its data, and {MOST_CONDITIONS} are explored")
    for condition in _conditions(definition):  # an engine that decides it otherwise has a path that shows it
        for sample in disputed(condition, dict(definition.data)):
            yield _filled(data, [(name, value) for name, value in sample.items() if split(name)[0] not in names])
    yield from disputed_data(definition, data)
    for results in itertools.product((True, False), repeat=len(about)):
        holding = [each for each, holds in zip(about, results, strict=True) if holds]
        failing = [each for each, holds in zip(about, results, strict=True) if not holds]
        found = example(holding, failing, dict(definition.data))
        if found is not None:
            yield _filled(data, found.items())


def bodies_of(definition: Saga, step: Step, body: Any, items: int) -> Iterator[Any]:
    """Yield the body of a success, with values for which each condition about it holds, and does not.

    items: see `data_of`.
    """
    yield body
    about = [each for each in _conditions(definition) if any(split(ref)[0] == step.name for ref in references_of(each))]
    decided = _decided(step, about, body) if len(about) > 1 else body
    for condition in about:
        found = (example(holding, failing, {}) or {} for holding, failing in (([condition], []), ([], [condition])))
        for sample in (*disputed(condition, {}, _types(step)), *found):
            yield _filled(decided, _own(step, sample))
            yield from _undecided(step, condition, decided)
    for each in _lists(definition):
        root, path = split(each)
        if root == step.name:
            source = _source(step, path)
            first, field = _items(source, body) or [{}], type_of(step, step.call, source) if step.call else None
            yield from (put(body, source, _different(first, field, each, number)) for number in (items, 0))


def kept_by_child(definition: Saga, step: Step, results: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield what the child of a step may keep instead, by its paths there, so that each condition holds, and does not.

    results: what the step keeps of its child, by step.
    """
    data = distinct_data(definition.data)
    for condition in _conditions(definition):
        if any(split(reference)[0] != step.name for reference in references_of(condition)):
            continue
        usual = truth_for(condition, data, results)
        other = example([], [condition], {}) if usual else example([condition], [], {})
        for sample in (*disputed(condition, {}, _types(step)), other or {}):
            own = {_source(step, path): value for path, value in _own(step, sample)}
            if own:
                yield own


def _decided(step: Step, conditions: Sequence[Condition], body: Any) -> Any:
    """Return a body in which each field without a type has a value that decides the conditions, so they vary alone."""
    if step.keeps:
        return body
    for condition in conditions:
        body = _filled(body, _own(step, example([condition], [], {}) or {}))
    return body


def _types(step: Step) -> Mapping[str, Field | None]:
    """Return the types of what the table keeps of the reply of a step."""
    return {f"{step.name}.{name}": kept_of(name, declared).field for name, declared in step.keeps.items()}


def _own(step: Step, sample: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the values of a sample that are in the reply of a step."""
    return [(split(name)[1], value) for name, value in sample.items() if split(name)[0] == step.name]


def _undecided(step: Step, condition: Condition, body: Any) -> Iterator[Any]:
    """Yield bodies in which a field without a type has a value of which a condition says neither yes nor no."""
    for test in _tests(condition):
        for root, path in (split(reference) for reference in references_of(test)):
            kept = step.keeps.get(path)
            if root != step.name or (step.keeps and (kept is None or kept_of(path, kept).field.kind is not _ANY)):
                continue
            bodies = (put(body, _source(step, path), value) for value in _OF_OTHER_TYPES)
            yield from itertools.islice((each for each in bodies if _decides_not(test, step, path, each)), 1)


def _decides_not(test: Condition, step: Step, path: str, body: Any) -> bool:
    value = look_up(f"{step.name}.{_source(step, path)}", {}, {step.name: body})
    return truth_for(test, {}, {step.name: put({}, path, value)}) is None


def _tests(condition: Condition) -> Iterator[Condition]:
    """Yield the tests of values that a condition consists of."""
    if condition.test not in ("all_of", "any_of", "not_"):
        yield condition
        return
    for each in condition.arguments:
        yield from _tests(each)


def varies(definition: Saga, step: Step) -> bool:
    """Return True when later steps may do different things after different replies of a step."""
    return definition.conditional or any(split(each)[0] == step.name for each in _lists(definition))


def _lists(definition: Saga) -> list[str]:
    """Return the references of the lists that each() goes through."""
    return [step.group.over for step in definition.steps if step.group is not None and step.group.over is not None]


def _items(reference: str, data: Mapping[str, Any]) -> list[Any] | None:
    """Return the items of a list of the data; None for a list of a reply."""
    try:
        found = look_up(reference, data, {})
    except FillError:
        return None
    return found if isinstance(found, list) and found else [{}]


def _field(definition: Saga, reference: str) -> Field | None:
    """Return the type of a list of the data; None: it is not known."""
    first, *below = parts(reference)
    field = definition.data.get(first)
    for name in below:
        field = (field.items or {}).get(name) if field is not None else None
    return field


def _different(found: Sequence[Any], field: Field | None, place: str, number: int) -> list[Any]:
    """Return as many items, the first one of a list and others like it. No two are alike where the type allows it."""
    item = None if field is None or field.kind is not FieldKind.LIST else item_of(field)
    others = (found[0] if item is None else distinct(item, f"{place}.{each}") for each in range(1, number))
    return [found[0], *others][:number]


def _may_be_empty(definition: Saga, reference: str) -> bool:
    field = definition.data.get(reference)
    return field is None or not field.low


def _source(step: Step, path: str) -> str:
    """Return where a kept list stands in the body of the reply."""
    kept = step.keeps.get(path)
    return path if kept is None else kept_of(path, kept).source


def _conditions(definition: Saga) -> Sequence[Condition]:
    found = {str(step.when): step.when for step in definition.steps if step.when is not None}
    return list(found.values())


def _filled(body: Any, values: Any) -> Any:
    for path, value in values:
        body = put(body, path, value)
    return body
