"""The reply of a participant that did what a call asks for: every field that the table keeps or needs.

Where the call's `means=` names values of a field, the field has one that means a success.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from decimal import Decimal
from string import ascii_lowercase
from typing import Any

from machines.accepting import NotAcceptedError, accept
from machines.call import Call
from machines.fields import Field, FieldKind
from machines.keeps import Kept, kept_of
from machines.outcomes import Outcome
from machines.references import is_index, parts, split, within
from machines.replies import Reply, outcome_of
from machines.saga import Saga
from machines.samples import example_of
from machines.step import Step

_OK = 200
_SUCCESSES = range(_OK, 300)


def done(definition: Saga, step: Step, call: Call, given: Any = None) -> tuple[int, Any]:
    """Return status and body of a success. given: the body that the test gives, which is taken as it stands.

    Raise ValueError where `means=` does not say what a success looks like, and the test gives no body.
    """
    body = success(step, call, fields(definition, step, call)) if given is None else given
    named = [key for key in call.means if isinstance(key, int)]
    for status in (*_SUCCESSES, *named):
        if outcome_of(Reply(status=status, body=body), call=call) is Outcome.SUCCEEDED:
            return status, body
    if given is not None:
        return _OK, body
    paths = " and ".join(str(path) for path in call.means if path not in named)
    word = f"when_undone({step.name}=ok({{…}}))" if call is step.undo else f"replying({step.name}={{…}})"
    raise ValueError(f"{definition}: means= of {call} does not say which value of {paths} is a success; write {word}")


def fields(definition: Saga, step: Step, call: Call | None) -> dict[str, Any]:
    """Return a body with every field that the table keeps or needs of the reply to a call."""
    body: dict[str, Any] = {}
    for kept in kept_in(step, call):
        put(body, parts(kept.source), _value(kept))
    if not (call and call.keeps) and not step.keeps and call is not step.undo:
        for reference in sorted(definition.needed_fields[step.name]):
            put(body, parts(reference), f"{step.name}-{reference.replace('.', '-')}")
    return body


def success(step: Step, call: Call, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a body in which each field of `means=` has a value that means a success, where one is known."""
    good = deepcopy(dict(body))
    for path, meaning in _meant(call):
        named = [value for value, outcome in meaning.items() if Outcome(outcome) is Outcome.SUCCEEDED]
        unnamed = _unnamed(step, call, path, meaning, good)
        value = next((value for value in (*named, *unnamed) if value is not None), None)
        if value is not None:
            put(good, parts(path), value)
    return good


def meaningless(step: Step, call: Call, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a body in which no field has a value that `means=` names, where another value is known."""
    plain = deepcopy(dict(body))
    for path, meaning in _meant(call):
        value = next(_unnamed(step, call, path, meaning, plain), None)
        if value is not None:
            put(plain, parts(path), value)
    return plain


def _meant(call: Call) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Yield each field to whose values `means=` gives a meaning."""
    for path, meaning in call.means.items():
        if isinstance(path, str) and isinstance(meaning, Mapping):
            yield path, meaning


def _unnamed(step: Step, call: Call, path: str, meaning: Mapping[Any, Any], body: Mapping[str, Any]) -> Iterator[Any]:
    """Yield values of a field of the body that `means=` does not name.

    Where the type is not known, yield one only when what the body has there, or lacks, means a refusal.
    """
    if field := type_of(step, call, path):
        yield from (value for value in _values(field, len(meaning)) if value not in meaning)
    elif meaning.get(_value_at(body, path)) == Outcome.REFUSED:
        yield another(meaning)


def _value_at(body: Any, path: str) -> Any:
    """Return the value at a path of a body; None: it is missing."""
    try:
        return within(body, parts(path))
    except (LookupError, TypeError):
        return None


def another(meaning: Mapping[Any, Any]) -> Any:
    """Return a value of the type of the named ones that is none of them; None: both booleans are named."""
    if any(isinstance(value, bool) for value in meaning):
        return next((value for value in (True, False) if value not in meaning), None)
    numbers = [value for value in meaning if isinstance(value, int | float)]
    if numbers:
        return max(numbers) + 1
    return next(value for value in ("another", "yet another", "a third one") if value not in meaning)


def type_of(step: Step, call: Call, path: str) -> Field | None:
    """Return the type of the value at a path of the body; None when the table does not say it."""
    found = [kept for kept in kept_in(step, call) if f"{path}.".startswith(f"{kept.source}.")]
    field: Field | None = found[0].field if found else None
    for name in parts(path)[len(parts(found[0].source)) :] if found else ():
        if field is None or field.kind is not FieldKind.LIST:
            field = (field.items or {}).get(name) if field else None
        elif field.item is not None:  # otherwise the list has the fields of its items
            field = field.item
    return field


def _values(field: Field, named: int) -> Iterator[Any]:
    """Yield values of a type: all of them, or the example and more than `named` other ones."""
    values: Iterable[Any] = ()
    if field.kind is FieldKind.BOOLEAN:
        values = (True, False)
    elif field.kind is FieldKind.CHOICE:
        values = field.choices
    elif field.kind is FieldKind.TEXT:
        values = (field.example, *(letter * max(1, int(field.low)) for letter in ascii_lowercase[: named + 1]))
    elif isinstance(field.example, (int, float, Decimal)):
        values = (field.example + number * sign for number in range(named + 1) for sign in (1, -1))
    for value in values:
        try:
            yield accept(field, value)
        except NotAcceptedError:
            continue


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


def kept_in(step: Step, call: Call | None) -> Sequence[Kept]:
    """Return the fields of the body that are kept of the reply to a call."""
    return [kept for kept in _kept(step, call) if not kept.header]


def _kept(step: Step, call: Call | None) -> list[Kept]:
    own = call.keeps if call else {}
    declared = own if call is not None and call is step.undo else own or step.keeps
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
