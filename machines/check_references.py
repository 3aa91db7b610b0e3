"""The check of references: each one exists, has a value when the call is sent, and has a type that fits its place."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from machines.call import Call
from machines.check_scope import (
    DEEP,
    NUMBERS,
    TYPES,
    WANTED,
    ReferenceProblem,
    Scope,
    field_below,
    field_of,
    item_type,
    named,
    reply_field,
    type_of,
)  # fmt: skip
from machines.check_types import mend
from machines.fields import CENTS, Field, FieldKind
from machines.references import ITEM, members, split
from machines.table import Table
from machines.templates import Function, Value, described


def reference_problems(scope: Scope, call: Call) -> Iterator[str]:
    """Yield each problem of the references of a call. Check them against the replies of probes and polls, too."""
    found = list(_problems(scope, call))
    yield from found
    if found:
        return
    steps = scope.table.steps
    for column, calls in (("probe", [step.probe for step in steps]), ("poll", [step.asks for step in steps])):
        if any(each and each.keeps for each in calls):
            for problem in _problems(replace(scope, replied=column), call):
                yield f"with the reply of a {column}, {problem}"


def _problems(scope: Scope, call: Call) -> Iterator[str]:
    for reference in call.path_references:
        yield from _placed(scope, reference, "a path", "use a body")
    for value in call.query.values():
        for each in value if isinstance(value, (list, tuple)) else (value,):
            yield from value_problems(scope, each)
            yield from _place_problems(scope, each, "a query", lists=True)
    for value in call.headers.values():
        yield from value_problems(scope, value)
        yield from _place_problems(scope, value, "a header")
    yield from value_problems(scope, call.body)
    if call.form:
        for value in call.body.values():
            yield from _place_problems(scope, value, "a form", lists=True)


def _placed(scope: Scope, reference: str, where: str, instead: str) -> Iterator[str]:
    try:
        field = field_of(scope, reference)
    except ReferenceProblem as problem:
        yield str(problem)
        return
    if field is None:
        return
    if field.kind in DEEP:
        what = f"{reference!r} is {DEEP[field.kind]}, which is no part of {where}"
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
    if isinstance(value, Function) and value.name == "const" and value.arguments[0] is None:
        yield f"const(None) is no part of {where}; take it out"
        return
    field = type_of(scope, value)
    if field is not None and lists and field.kind is FieldKind.LIST:
        field = field.item or Field(kind=FieldKind.OBJECT if field.items else FieldKind.TEXT)
    if field is None:
        return
    if field.kind in DEEP:
        yield f"{described(value)} is or holds {DEEP[field.kind]}, which is no part of {where}; name one value"
    elif field.kind is FieldKind.ANYTHING:
        may_be = f"may be a list or an object, which is no part of {where}"
        yield f"{described(value)} {may_be}; give it a type such as text()"
    elif field.nullable:
        yield f"{described(value)} may be null, which is no part of {where}; write maybe({described(value)!r})"


def value_problems(scope: Scope, value: Value) -> Iterator[str]:
    """Yield each problem of the references in a value, at any depth."""
    if isinstance(value, str):
        try:
            field = field_of(scope, value)
        except ReferenceProblem as problem:
            yield f"{problem}, or const({value!r}) for a constant text" if problem.unknown else str(problem)
        else:
            if field is not None and field.optional:
                yield f"{value!r} may be missing; write maybe({value!r}) to leave it out, or fallback({value!r}, …)"
    elif isinstance(value, Function):
        yield from _function_problems(scope, value)
    for each in members(value):
        yield from value_problems(scope, each)


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
            _refuse_shadowed(scope)
            item = item_type(scope, arguments[0], name)
            scope, arguments = replace(scope, item=item, within_item=True), arguments[1:]
    except ReferenceProblem as problem:
        yield str(problem)
        return
    for argument in arguments:
        found = list(value_problems(scope, argument))
        yield from found
        if not found and name in TYPES:
            yield from _argument_problems(scope, function, argument)


def _argument_problems(scope: Scope, function: Function, argument: Value) -> Iterator[str]:
    field = type_of(scope, argument)
    if field is None or field.kind is FieldKind.ANYTHING:
        return
    if field.kind not in TYPES[function.name][0]:
        what = f"{described(argument)} is {named(field)}, which {function.name}() does not take"
        yield f"{function}: {what}; name {WANTED[function.name]}"
    elif field.nullable:
        yield f"{function}: {described(argument)} may be null; write fallback({described(argument)!r}, …)"
    elif function.name == "cents" and field.kind is FieldKind.DECIMAL and field.places > CENTS:
        places = f"{described(argument)} may have {field.places} decimals"
        yield f"{function}: {places}, and cents() takes two; use computed()"


def _item_of_total(scope: Scope, reference: str) -> None:
    where, _, name = reference.rpartition(".")
    if not where:
        raise ReferenceProblem(f"total({reference!r}) names no field of a list; write total('lines.amount')")
    item = item_type(scope, where, "total")
    field = field_below(item, (name,), reference) if item else None
    if field is None or field.kind is FieldKind.ANYTHING:
        return
    if field.kind not in NUMBERS:
        raise ReferenceProblem(f"{reference!r} is {named(field)}, and total() adds numbers; name a number")
    if field.optional or field.nullable:
        without, wrap = ("missing", "optional") if field.optional else ("null", "nullable")
        raise ReferenceProblem(f"{reference!r} may be {without}, and total() adds each; take {wrap}() away")


def _refuse_shadowed(scope: Scope) -> None:
    """Raise ReferenceProblem when a step or a field of data is named `item`: each_item() gives its items this name."""
    if ITEM in scope.table.data or ITEM in {step.name for step in scope.table.steps}:
        raise ReferenceProblem(f"each_item() calls an item {ITEM!r}, as a step or a field of data is; rename that one")


def order_problems(table: Table, order: str) -> Iterator[str]:
    """Yield the problem of the reference by which people know a saga."""
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
            field = reply_field(Scope(table, table.steps[0], table.steps, polls=True), step, name, order)
        except ReferenceProblem as problem:
            if "not kept" in str(problem):
                yield f"order={problem}"
        else:
            if field is not None and field.kind in DEEP:
                yield f"order={order!r} is or holds {DEEP[field.kind]}; name a field that holds one value"
