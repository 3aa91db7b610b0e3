"""The check of references: each one exists, has a value when the call is sent, and has a type that fits its place."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from machines.call import Call
from machines.check_types import mend
from machines.fields import Field, FieldKind
from machines.keeps import Kept, kept_of
from machines.references import ITEM, SAGA, SAGA_FIELDS, parts, split
from machines.step import Step
from machines.table import Table
from machines.templates import Function, Value, described

_NUMBERS = frozenset({FieldKind.INTEGER, FieldKind.AMOUNT, FieldKind.DECIMAL, FieldKind.NUMBER})
_TEXTS = frozenset({FieldKind.TEXT, FieldKind.UUID, FieldKind.DATE, FieldKind.DATETIME, FieldKind.CHOICE})
_DEEP = {FieldKind.LIST: "a list", FieldKind.OBJECT: "an object"}
_TEXT = Field(kind=FieldKind.TEXT, low=1)
#: Function → the types of its arguments, and the type of its value.
_TYPES = {
    "cents": (_NUMBERS | {FieldKind.TEXT}, Field(kind=FieldKind.INTEGER)),
    "number_of": (_NUMBERS | {FieldKind.TEXT}, Field(kind=FieldKind.NUMBER)),
    "text_of": (_NUMBERS | _TEXTS | {FieldKind.BOOLEAN}, _TEXT),
    "join": (_NUMBERS | _TEXTS | {FieldKind.BOOLEAN}, _TEXT),
    "upper": (_TEXTS, _TEXT),
    "lower": (_TEXTS, _TEXT),
}


class _Problem(Exception):  # noqa: N818  it never leaves this module
    """A reference is wrong; the text says how, and what to do."""


@dataclass(frozen=True)
class Scope:
    """What the references of one call can refer to."""

    table: Table
    #: Step of the call.
    step: Step
    #: Steps before `step`; the call can refer to their replies.
    earlier: tuple[Step, ...]
    #: True for an undo. It runs after its own step, so it can refer to the reply of that step.
    undoes: bool = False
    #: Type of `item`, within each_item(); None: not known.
    item: Field | None = None
    #: True within each_item(), where references to `item` are legal.
    within_item: bool = False


def scope_of(table: Table, number: int, call: Call) -> Scope:
    step = table.steps[number]
    return Scope(table, step, table.steps[:number], undoes=call is step.undo)


def reference_problems(scope: Scope, call: Call) -> Iterator[str]:
    """Yield each problem of the references of a call."""
    for reference in call.path_references:
        yield from _placed(scope, reference, "a path", "use a body")
    for value in call.query.values():
        for each in value if isinstance(value, (list, tuple)) else (value,):
            yield from _value_problems(scope, each)
            yield from _place_problems(scope, each, "a query", lists=True)
    for value in call.headers.values():
        yield from _value_problems(scope, value)
        yield from _place_problems(scope, value, "a header")
    yield from _value_problems(scope, call.body)
    if call.form:
        for value in call.body.values():
            yield from _place_problems(scope, value, "a form", lists=True)


def _placed(scope: Scope, reference: str, where: str, instead: str) -> Iterator[str]:
    try:
        field = field_of(scope, reference)
    except _Problem as problem:
        yield str(problem)
        return
    if field is None:
        return
    if field.kind in _DEEP:
        what = f"{reference!r} is {_DEEP[field.kind]}, which is no part of {where}"
        yield f"{what}; name a field of one value, or {instead}"
    elif field.kind is FieldKind.ANYTHING:
        yield f"{reference!r} may be a list or an object, which is no part of {where}; give it a type such as text()"
    elif field.kind is FieldKind.TEXT and field.low == 0 and where == "a path":
        yield f"{reference!r} may be empty, which is no part of a path; give the field low=1"
    elif field.nullable:
        yield f"{reference!r} may be null, which is no part of {where}; take nullable() away, or {instead}"
    elif field.optional:
        yield f"{reference!r} may be missing, which is no part of {where}; take optional() away, or {instead}"


def _place_problems(scope: Scope, value: Value, where: str, *, lists: bool = False) -> Iterator[str]:
    """Yield a problem for a list, an object or a null in a place for one text. lists: a list is legal there."""
    if isinstance(value, Mapping) or (isinstance(value, (list, tuple)) and not lists):
        yield f"{described(value)} is no part of {where}; name one value"
        return
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _place_problems(scope, each, where)
        return
    field = type_of(scope, value)
    if field is None or (lists and field.kind is FieldKind.LIST):
        return
    if field.kind in _DEEP:
        yield f"{described(value)} is {_DEEP[field.kind]}, which is no part of {where}; name one value"
    elif field.nullable:
        yield f"{described(value)} may be null, which is no part of {where}; write maybe({described(value)!r})"


def _value_problems(scope: Scope, value: Value) -> Iterator[str]:
    """Yield each problem of the references in a value, at any depth."""
    if isinstance(value, str):
        try:
            field = field_of(scope, value)
        except _Problem as problem:
            yield str(problem)
        else:
            if field is not None and field.optional:
                yield f"{value!r} may be missing; write maybe({value!r}) to leave it out, or fallback({value!r}, …)"
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _value_problems(scope, each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _value_problems(scope, each)
    elif isinstance(value, Function):
        yield from _function_problems(scope, value)


def _function_problems(scope: Scope, function: Function) -> Iterator[str]:
    name, arguments = function.name, function.arguments
    if name == "const":
        return
    try:
        if name in ("maybe", "fallback"):
            field_of(scope, arguments[0])
            arguments = arguments[1:]
        elif name == "total":
            _item_of_total(scope, arguments[0])
            return
        elif name == "each_item":
            item = _item_type(scope, arguments[0], name)
            scope, arguments = replace(scope, item=item, within_item=True), arguments[1:]
    except _Problem as problem:
        yield str(problem)
        return
    for argument in arguments:
        found = list(_value_problems(scope, argument))
        yield from found
        if not found and name in _TYPES:
            yield from _argument_problems(scope, function, argument)


def _argument_problems(scope: Scope, function: Function, argument: Value) -> Iterator[str]:
    field = type_of(scope, argument)
    if field is None or field.kind is FieldKind.ANYTHING:
        return
    if field.kind not in _TYPES[function.name][0]:
        yield f"{function}: {described(argument)} is {_named(field)}, which {function.name}() does not take"
    elif field.nullable:
        yield f"{function}: {described(argument)} may be null; write fallback({described(argument)!r}, …)"


def _named(field: Field) -> str:
    return _DEEP.get(field.kind) or f"of type {field.kind}"


def _item_type(scope: Scope, reference: str, name: str) -> Field | None:
    field = field_of(scope, reference)
    if field is None or field.kind is FieldKind.ANYTHING:
        return None
    if field.kind is not FieldKind.LIST:
        raise _Problem(f"{reference!r} is {_named(field)}, and {name}() takes a list; name a list")
    return field.item or Field(kind=FieldKind.OBJECT, items=field.items)


def _item_of_total(scope: Scope, reference: str) -> None:
    where, _, name = reference.rpartition(".")
    if not where:
        raise _Problem(f"total({reference!r}) names no field of a list; write total('lines.amount')")
    item = _item_type(scope, where, "total")
    field = _walk(item, (name,), reference) if item else None
    if field is not None and field.kind not in _NUMBERS:
        raise _Problem(f"{reference!r} is {_named(field)}, and total() adds numbers; name a number")


def type_of(scope: Scope, value: Value) -> Field | None:
    """Return the type of a value; None when only a reply will decide it, or when the value has a problem."""
    if isinstance(value, str):
        try:
            return field_of(scope, value)
        except _Problem:
            return None
    if isinstance(value, Function):
        return _type_of_function(scope, value)
    return Field(kind=FieldKind.OBJECT if isinstance(value, Mapping) else FieldKind.LIST)


def _type_of_function(scope: Scope, function: Function) -> Field | None:
    if function.name == "maybe":
        found = type_of(scope, function.arguments[0])
        return found and replace(found, optional=False, nullable=False)
    if function.name == "const":
        constant = function.arguments[0]
        return type_of(scope, constant) if isinstance(constant, (Mapping, list, tuple)) else None
    if function.name == "each_item":
        return Field(kind=FieldKind.LIST)
    return _TYPES[function.name][1] if function.name in _TYPES else None


def field_of(scope: Scope, reference: str) -> Field | None:
    """Return the type of the value that a reference names; None when only a reply will decide it. Raise _Problem."""
    first, *path = parts(reference)
    if path and not (first and all(path)):
        raise _Problem(f"{reference!r} names no field; write step.field")
    if first == ITEM and scope.within_item:
        return _walk(scope.item, tuple(path), reference) if scope.item else None
    if not path:
        if first not in scope.table.data:
            otherwise = "add it to data=, or write step.field for a field of an earlier reply"
            raise _Problem(f"{reference!r} is no field of data; {mend(first, scope.table.data, otherwise)}")
        return scope.table.data[first]
    if first == SAGA:
        if reference not in {f"{SAGA}.{name}" for name in SAGA_FIELDS}:
            raise _Problem(f"{reference!r} is unknown; saga.id and saga.key are known")
        return _TEXT
    if first == scope.step.name or first in {step.name for step in scope.earlier}:
        return _of_reply(scope, first, ".".join(path), reference)
    field = scope.table.data.get(first)
    if field is not None and field.kind in (FieldKind.OBJECT, FieldKind.LIST, FieldKind.ANYTHING):
        return _walk(field, tuple(path), reference)
    earlier = [step.name for step in scope.earlier]
    raise _Problem(f"{reference!r} refers to no earlier step; {mend(first, earlier, 'move that step up')}")


def _of_reply(scope: Scope, name: str, path: str, reference: str) -> Field | None:
    step = next(step for step in scope.table.steps if step.name == name)
    if step is scope.step:
        if not scope.undoes:
            lost = "refer to data or to a step above, for that reply may be lost"
            raise _Problem(f"{reference!r} refers to no earlier step; {lost}")
        if step.recovery is None:
            raise _Problem(
                f"{reference!r} refers to the step's own reply, which may be lost; say how it is recovered: "
                "repeatable=True if the participant answers a repeated key with the same reply, or a probe="
            )
    keeps = step.call.keeps
    if not keeps:
        return None
    for known, declared in keeps.items():
        if path == known:
            return _kept(known, declared)
        if path.startswith(f"{known}."):
            return _walk(_kept(known, declared), parts(path[len(known) + 1 :]), reference)
    if any(known.startswith(f"{path}.") for known in keeps):
        return Field(kind=FieldKind.OBJECT)
    raise _Problem(
        f"{reference!r} is not kept of the reply to {name}; {mend(path, keeps, f'add {path!r} to its keeps=')}"
    )


def _kept(name: str, declared: Kept | Field) -> Field:
    return kept_of(name, declared).field


def _walk(field: Field | None, path: tuple[str, ...], reference: str) -> Field | None:
    """Return the type at a path inside a field; None when only a reply will decide it. Raise _Problem.

    If an object or a list may be missing or null, the values inside it may be missing, too.
    """
    optional = nullable = False
    for name in path:
        if field is None or field.kind is FieldKind.ANYTHING:
            return None
        optional, nullable = optional or field.optional, nullable or field.nullable
        if field.kind is FieldKind.OBJECT or (field.kind is FieldKind.LIST and not name.isdigit()):
            if field.kind is FieldKind.LIST:
                raise _Problem(f"{reference!r} names {name!r} of a list; write the number of an item, such as 0")
            if field.items is not None and name not in field.items:
                raise _Problem(f"{reference!r} names no field; {mend(name, field.items, 'add the field')}")
            field = field.items[name] if field.items is not None else None
        elif field.kind is FieldKind.LIST:
            field = field.item or Field(kind=FieldKind.OBJECT, items=field.items)
        else:
            raise _Problem(f"{reference!r} names {name!r} of a value of type {field.kind}, which has no fields")
    if field is None:
        return None
    return replace(field, optional=optional or field.optional or nullable, nullable=field.nullable)


def order_problems(table: Table, order: str) -> Iterator[str]:
    """Yield each problem of `order=`, the reference of the number by which people know a saga."""
    step, name = split(order)
    steps = [known.name for known in table.steps]
    if step is None and name not in table.data:
        yield f"order={order!r} is no field of data; {mend(name, table.data, 'write step.field for one of a reply')}"
    elif step is not None and step not in steps and step not in table.data:
        yield f"order={order!r} names no step; {mend(step, steps, 'leave order= out')}"
    elif not name:
        yield f"order={order!r} names no field; write step.field"
    elif step in steps:
        try:
            _of_reply(Scope(table, table.steps[0], table.steps), step, name, order)
        except _Problem as problem:
            if "not kept" in str(problem):
                yield f"order={problem}"
