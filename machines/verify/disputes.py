"""Values with which the engine sends something else than the table says: only these are searched.

A sample has one value for each field. So each field is also tried with values that a careless template drops, rounds or
encodes otherwise. With each, what the engine fills in is compared with the second reading (`machines.verify.values`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from machines.accepting import NotAcceptedError, accept
from machines.call import Call
from machines.children import Start
from machines.fields import Field, FieldKind
from machines.keeps import Kept, kept_of
from machines.references import SAGA, FillError, parts, roots_of
from machines.saga import Saga
from machines.step import Step
from machines.testing.successes import fields, success
from machines.transitions import Direction
from machines.verify.distinct import distinct_body, distinct_data, distinct_headers, item_of, put
from machines.verify.values import Request, Sources, UnknownError, request_of, same

#: Most values of one table that are searched.
_MOST = 2
_SAGA_ID = "11111111-2222-4333-8444-555555555555"
_ROOTS = roots_of(_SAGA_ID, "step", Direction.DO, "https://saga.example/replies/step")
_AMOUNTS = ("0.00", "1.15", "19.99", "0.10", "-0.29", "1000000.07")
#: Type → values that are easily taken for others. Those that a field does not accept are left out.
_OTHERS: Mapping[FieldKind, Sequence[Any]] = {
    FieldKind.INTEGER: (0, 1, -1, 10, 2**53 + 1), FieldKind.NUMBER: (0, 1, 0.1, -2.5),
    FieldKind.AMOUNT: (0, *map(float, _AMOUNTS)), FieldKind.DECIMAL: _AMOUNTS,
    FieldKind.TEXT: ("", "0", "1.15", "É ß", "?a=b&c#d%20+", "..", " x "), FieldKind.BOOLEAN: (False, True),
    FieldKind.ANYTHING: (0, False, "", [], {}),
}  # fmt: skip


def disputed_data(definition: Saga, data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield data with which a call is sent otherwise than the table says."""
    results = results_of(definition)
    used = {parts(each)[0] for call in calls_of(definition) for each in call.references}
    varied = (each for name, field in definition.data.items() if name in used for each in _varied(data, name, field))
    yield from _first(each for each in varied if is_disputed(definition, each, results))


def disputed_bodies(definition: Saga, step: Step, body: Any) -> Iterator[Any]:
    """Yield bodies of a success of a step after which a call is sent otherwise than the table says."""
    if not any(parts(each)[0] == step.name for call in calls_of(definition) for each in call.references):
        return
    data, results = distinct_data(definition.data), results_of(definition)
    yield from _first(
        put(body, kept.source, found)
        for name, kept in ((name, kept_of(name, declared)) for name, declared in step.keeps.items())
        if not kept.header
        for found in (*_values(kept.field), *_without(kept))
        if is_disputed(definition, data, {**results, step.name: put(results[step.name], name, found)})
    )


def is_disputed(definition: Saga, data: Mapping[str, Any], results: Mapping[str, Any]) -> bool:
    """Return True when a call is sent, and its table does not say this request. results: the replies, by step."""
    return any(_differs(call, data, results) for call in calls_of(definition))


def calls_of(definition: Saga) -> list[Call]:
    """Return the calls of a table to participants."""
    found = [call for step in definition.steps for call in step.calls]
    return [call for call in (*found, *definition.at_end.values()) if not isinstance(call, Start)]


def results_of(definition: Saga) -> dict[str, Any]:
    """Return a stored reply of each step."""
    return {step.name: stored_success(definition, step) for step in definition.steps}


def stored_success(definition: Saga, step: Step) -> dict[str, Any]:
    """Return what is stored of a success of a step; nothing for a step that starts children."""
    if step.starts is not None:
        return {}
    if step.call is None:
        return distinct_data(step.keeps, f"{step.name}.")  # type: ignore[arg-type]
    body = success(step, step.call, distinct_body(step, step.call, fields(definition, step, step.call)))
    return dict(definition.taken(step.name, step.call, body, distinct_headers(step, step.call))[0])


def _differs(call: Call, data: Mapping[str, Any], results: Mapping[str, Any]) -> bool:
    try:
        path, headers = call.filled_path(data, results, _ROOTS), call.filled_headers(data, results, _ROOTS)
        body = call.filled_body(data, results, _ROOTS) if call.method != "GET" else None
    except FillError:
        return False
    try:
        said = request_of(call, Sources(data, results, _ROOTS[SAGA]), {})
    except UnknownError:
        return True
    sent = Request(call.method, call.participant, path, headers, body)
    return not all(map(same, sent, said))


def _varied(data: Mapping[str, Any], path: str, field: Field) -> Iterator[Mapping[str, Any]]:
    """Yield the data with another value at a path or below it."""
    yield from (put(data, path, value) for value in _values(field))
    if field.optional:
        yield put(data, path, None)
    if field.nullable and path in data:
        yield {**data, path: None}
    if field.kind is FieldKind.OBJECT:
        for name, each in (field.items or {}).items():
            yield from _varied(data, f"{path}.{name}", each)
    if field.kind is FieldKind.LIST:
        yield from () if field.low else (put(data, path, []),)
        yield from _varied(data, f"{path}.0", item_of(field))


def _values(field: Field) -> Iterator[Any]:
    values = field.choices if field.kind is FieldKind.CHOICE else _OTHERS.get(field.kind, ())
    yield from (found for value in values if (found := _as_kept(field, value)) is not None)


def _without(kept: Kept) -> Iterator[None]:
    """Yield None for a value that a reply may lack, and that the table has no other value for."""
    if kept.field.optional and kept.field.default is None and not kept.otherwise:
        yield None


def _as_kept(field: Field, value: Any) -> Any:
    """Return a value as the field takes it; None: it does not."""
    try:
        return accept(field, value)
    except NotAcceptedError:
        return None


def _first(found: Iterator[Any]) -> Iterator[Any]:
    yield from (each for each, _ in zip(found, range(_MOST), strict=False))
