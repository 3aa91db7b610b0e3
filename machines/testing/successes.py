"""The reply of a participant that did what a call asks for: every field that the table keeps or needs."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from machines.call import Call
from machines.fields import FieldKind
from machines.keeps import Kept, kept_of
from machines.references import is_index, parts, split
from machines.saga import Saga
from machines.samples import example_of
from machines.step import Step


def success(definition: Saga, step: Step, call: Call | None, given: Any = None) -> Any:
    """Return the body of a success. given: the body that the test gives, which is taken as it stands."""
    if given is not None:
        return given
    body: dict[str, Any] = {}
    for kept in _kept(step, call):
        if not kept.header:
            put(body, parts(kept.source), _value(kept))
    if not (call and call.keeps) and not step.keeps:
        for reference in sorted(definition.needed_fields[step.name]):
            put(body, parts(reference), f"{step.name}-{reference.replace('.', '-')}")
    return body


def acceptance(step: Step, besides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the body of the 202 that accepts a step: the fields by which its poll asks for the answer.

    besides: what else the body contains.
    """
    asked = {name for root, name in map(split, step.asks.references) if root == step.name} if step.asks else set()
    body: dict[str, Any] = deepcopy(dict(besides or {}))
    for reference in sorted(asked):
        kept = next(
            (kept_of(name, each) for name, each in step.keeps.items() if f"{reference}.".startswith(f"{name}.")), None
        )
        if kept is None:
            put(body, parts(reference), f"{step.name}-{reference.replace('.', '-')}")
        elif not kept.header:
            put(body, parts(kept.source), _value(kept))
    return body


def headers(step: Step, call: Call | None) -> dict[bytes, bytes]:
    """Return the headers of a success that the table keeps."""
    found = {kept.source.lower().encode(): str(_value(kept)) for kept in _kept(step, call) if kept.header}
    return {name: value.encode("latin-1", "replace") for name, value in found.items()}


def _kept(step: Step, call: Call | None) -> list[Kept]:
    declared = (call.keeps if call and call.keeps else None) or step.keeps
    return [kept_of(name, each) for name, each in declared.items()]


def _value(kept: Kept) -> Any:
    value = example_of(kept.field)
    if kept.field.kind is FieldKind.LIST:
        return value * max(1, int(kept.field.low))
    return value


def put(body: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Put a value at its path; the number of a list's item makes a list. A text on the way becomes an object."""
    at: Any = body
    for name, following in zip(path, (*path[1:], None), strict=True):
        fresh = value if following is None else [] if is_index(following) else {}
        key = int(name) if isinstance(at, list) else name
        if isinstance(at, list):
            at.extend([{}] * (int(name) + 1 - len(at)))
        elif name not in at:
            at[name] = fresh
        if following is None or not at[key] or not isinstance(at[key], dict | list):
            at[key] = fresh
        at = at[key]
