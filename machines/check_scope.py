"""Finds what a reference means in one call of a table: the type of its value, if the table defines it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from machines.call import Call
from machines.check_types import mend
from machines.fields import Field, FieldKind
from machines.keeps import Kept, kept_of
from machines.references import EVERY, ITEM, REPLY_TO, SAGA, SAGA_FIELDS, is_index, parts
from machines.step import Step
from machines.table import Table
from machines.templates import Function, Value

NUMBERS = frozenset({FieldKind.INTEGER, FieldKind.AMOUNT, FieldKind.DECIMAL, FieldKind.NUMBER})
TEXTS = frozenset({FieldKind.TEXT, FieldKind.UUID, FieldKind.DATE, FieldKind.DATETIME, FieldKind.CHOICE})
DEEP = {FieldKind.LIST: "a list", FieldKind.OBJECT: "an object"}
_TEXT = Field(kind=FieldKind.TEXT, low=1)
#: Function → the types of its arguments, and the type of its value.
TYPES = {
    "cents": (NUMBERS | {FieldKind.TEXT}, Field(kind=FieldKind.INTEGER)),
    "number_of": (NUMBERS | {FieldKind.TEXT}, Field(kind=FieldKind.NUMBER)),
    "text_of": (NUMBERS | TEXTS | {FieldKind.BOOLEAN}, _TEXT),
    "join": (NUMBERS | TEXTS | {FieldKind.BOOLEAN}, _TEXT),
    "upper": (TEXTS, _TEXT),
    "lower": (TEXTS, _TEXT),
}
#: Function → the argument that it takes, in words.
WANTED = {
    "cents": "a number", "number_of": "a number", "text_of": "a value that is no object and no list",
    "join": "a value that is no object and no list", "upper": "a text", "lower": "a text",
}  # fmt: skip


class ReferenceProblem(Exception):  # noqa: N818  it never leaves the checks
    """A reference is wrong. The text says what is wrong and how to correct it."""

    def __init__(self, problem: str, *, unknown: bool = False) -> None:
        super().__init__(problem)
        #: True: the first part of the reference names nothing, so the author may have meant a constant.
        self.unknown = unknown


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
    #: True for a poll. It can refer to the reply with which the participant accepted the call of its own step.
    polls: bool = False
    #: True for the call that carries the step out, and not for its undo and its probe.
    acts: bool = False
    #: Type of `item`, within each_item(); None: not known.
    item: Field | None = None
    #: True within each_item(), where references to `item` are legal.
    within_item: bool = False
    #: Column of the step whose reply counts as the reply of the step, with the types of its own keeps=.
    replied: str = "call"
    #: True: any step may not have been carried out, so each reply may be missing.
    replies_may_lack: bool = False

    def keeps_of(self, step: Step) -> Mapping[str, Kept | Field]:
        """Return the values that are kept of the reply of a step."""
        call = {"probe": step.probe, "poll": step.asks}.get(self.replied)
        accepted = self.polls and step is self.step
        return call.keeps if call and call.keeps and not accepted else step.keeps


def scope_of(table: Table, number: int, call: Call) -> Scope:
    step = table.steps[number]
    acts = call is step.call
    return Scope(table, step, table.steps[:number], undoes=call is step.undo, polls=call is step.asks, acts=acts)


def item_type(scope: Scope, reference: str, name: str) -> Field | None:
    """Return the type of an item of a list. Raise ReferenceProblem when the reference names no list.

    name: name of the function that has the list as its argument, for the error.
    """
    if reference not in scope.table.data and reference in {step.name for step in scope.earlier}:
        raise ReferenceProblem(f"{reference!r} is a step, and {name}() takes a list; name a list of its reply")
    field = field_of(scope, reference)
    if field is None or field.kind is FieldKind.ANYTHING:
        return None
    if field.kind is not FieldKind.LIST:
        raise ReferenceProblem(f"{reference!r} is {named(field)}, and {name}() takes a list; name a list")
    if field.optional or field.nullable:
        without, wrap = ("missing", "optional") if field.optional else ("null", "nullable")
        mended = f"take {wrap}() away, and send an empty list (low=0)"
        raise ReferenceProblem(f"{reference!r} may be {without}, and {name}() takes a list; {mended}")
    return field.item or Field(kind=FieldKind.OBJECT, items=field.items)


def named(field: Field) -> str:
    """Return the type of a field in words, for an error."""
    return DEEP.get(field.kind) or f"of type {field.kind}"


def type_of(scope: Scope, value: Value) -> Field | None:
    """Return the type of a value; None when only a reply will decide it, or when the value has a problem."""
    if isinstance(value, str):
        try:
            return field_of(scope, value)
        except ReferenceProblem:
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
        try:
            item = item_type(scope, function.arguments[0], function.name)
        except ReferenceProblem:
            return None
        inner = replace(scope, item=item, within_item=True)
        return Field(kind=FieldKind.LIST, item=type_of(inner, function.arguments[1]))
    return TYPES[function.name][1] if function.name in TYPES else None


def field_of(scope: Scope, reference: str) -> Field | None:
    """Return the type of the value that a reference names; None when it is known only after the reply.

    Raise ReferenceProblem for a reference that names no value.
    """
    first, *path = parts(reference)
    if path and not (first and all(path)):
        raise ReferenceProblem(f"{reference!r} names no field; write step.field")
    if first == ITEM and scope.within_item:
        return field_below(scope.item, tuple(path), reference) if scope.item else None
    if not path:
        if first not in scope.table.data:
            otherwise = "add it to data=, or write step.field for a field of an earlier reply"
            raise ReferenceProblem(
                f"{reference!r} is no field of data; {mend(first, scope.table.data, otherwise)}", unknown=True
            )
        return scope.table.data[first]
    if first == SAGA:
        return _of_saga(scope, reference)
    if first == scope.step.name or first in {step.name for step in scope.earlier}:
        field = reply_field(scope, first, ".".join(path), reference)
        return replace(field or Field(kind=FieldKind.ANYTHING), optional=True) if scope.replies_may_lack else field
    if first in scope.table.data and first not in {step.name for step in scope.table.steps}:
        return field_below(scope.table.data[first], tuple(path), reference)
    raise _unknown(scope, first, reference)


def _of_saga(scope: Scope, reference: str) -> Field:
    if reference == REPLY_TO:
        if scope.step.later is None or scope.step.asks or not scope.acts:
            raise ReferenceProblem(f"{reference!r} is known in the call of a step with later=callback(…) alone")
        return replace(_TEXT, secret=True)
    if reference not in {f"{SAGA}.{name}" for name in SAGA_FIELDS}:
        raise ReferenceProblem(f"{reference!r} is unknown; saga.id and saga.key are known")
    return _TEXT


def _unknown(scope: Scope, first: str, reference: str) -> ReferenceProblem:
    """Return the problem of a reference whose first part is neither an earlier step nor a field of data."""
    if first in {step.name for step in scope.table.steps}:
        return ReferenceProblem(f"{reference!r} refers to no earlier step; move step {first} up")
    if first == ITEM:
        return ReferenceProblem(
            f"{reference!r} is known within each() and each_item() alone; write 'lines.0.sku' for one item"
        )
    if (written := _written_here(scope, reference)) is not None:
        return ReferenceProblem(f"{reference!r} names no value here; write {written!r}")
    known = [*(step.name for step in scope.earlier), *scope.table.data]
    otherwise = "add the field to data="
    if scope.table.is_branch:
        otherwise = "name a step before the group, as a branch sees no other one, or add the field to data="
    return ReferenceProblem(
        f"{reference!r} begins with {first!r}, which is no earlier step and no field of data; "
        f"{mend(first, known, otherwise)}",
        unknown=True,
    )


def _written_here(scope: Scope, reference: str) -> str | None:
    """Return how a table writes a reference that lacks the group of its step, or names the group around the call."""
    values = [value for step in scope.earlier for value in _values_of_group(step)]
    if (within := next((value for value in values if value.endswith(f".{reference}")), None)) is not None:
        return within
    own = {step.name for step in scope.earlier} | ({scope.step.name} if scope.undoes or scope.polls else set())
    named = parts(reference)
    return next((".".join(named[place:]) for place in range(1, len(named) - 1) if named[place] in own), None)


def _values_of_group(step: Step) -> Iterator[str]:
    """Yield the references to the values that a group keeps."""
    yield from _values_below(step.group.result, step.name) if step.group is not None else ()


def _values_below(field: Field, name: str) -> Iterator[str]:
    if field.kind is FieldKind.LIST:
        yield from _values_below(field.item or Field(kind=FieldKind.OBJECT, items=field.items), f"{name}.{EVERY}")
    elif field.items:
        for each, below in field.items.items():
            yield from _values_below(below, f"{name}.{each}")
    else:
        yield name


def reply_field(scope: Scope, name: str, path: str, reference: str) -> Field | None:
    """Return the type of a field of a step's reply, as `field_of` does. path: the path inside the reply."""
    step = next(step for step in scope.table.steps if step.name == name)
    if step is scope.step:
        _refuse_lost(scope, reference)
    if step.group is not None:
        return _below_group(step, step.group.result, path, reference)
    keeps = {known: _field_of(scope, step, kept_of(known, each).field) for known, each in scope.keeps_of(step).items()}
    if not keeps and step.call and not step.starts:
        return None
    for known, field in keeps.items():
        if path == known:
            return field
        if path.startswith(f"{known}."):
            return field_below(field, parts(path[len(known) + 1 :]), reference)
    if below := [field for known, field in keeps.items() if known.startswith(f"{path}.")]:
        secret = any(field.secret for field in below)
        return Field(kind=FieldKind.OBJECT, optional=all(field.optional for field in below), secret=secret)
    if step.call is None:
        mended = mend(path, keeps, f"add {path!r} to its brings=")
        raise ReferenceProblem(f"{reference!r} is not brought by the signal of {name}; {mended}")
    raise ReferenceProblem(
        f"{reference!r} is not kept of the reply to {name}; {mend(path, keeps, f'add {path!r} to its keeps=')}"
    )


def _below_group(step: Step, result: Field, path: str, reference: str) -> Field | None:
    try:
        return field_below(result, parts(path), reference)
    except ReferenceProblem as problem:
        if "names no field" not in str(problem):
            raise
        remedy = mend(reference, _values_of_group(step), "add the field to keeps= of its step")
        raise ReferenceProblem(f"{reference!r} names no field; {remedy}") from None


def _refuse_lost(scope: Scope, reference: str) -> None:
    """Raise ReferenceProblem when a call refers to the reply of its own step, and that reply may be lost."""
    if not scope.undoes and not scope.polls:
        lost = "refer to data or to a step above, for that reply may be lost"
        raise ReferenceProblem(f"{reference!r} refers to no earlier step; {lost}")
    if scope.undoes and scope.step.recovery is None:
        raise ReferenceProblem(
            f"{reference!r} refers to the step's own reply, which may be lost; say how it is recovered: "
            "repeatable=True if the participant answers a repeated key with the same reply, or a probe="
        )


def _field_of(scope: Scope, step: Step, field: Field) -> Field:
    """Return the type of a kept value.

    A value of a signal may be missing if the step can succeed without the signal. A value that a poll needs is never
    missing: a call that is accepted without the value is in doubt.
    """
    if scope.polls and step is scope.step:
        return replace(field, optional=False)
    without = step.waits is not None and step.waits.can_lack_signal
    return replace(field, optional=True) if without else field


def field_below(field: Field | None, path: tuple[str, ...], reference: str) -> Field | None:
    """Return the type at a path inside a field; None when only a reply will decide it. Raise ReferenceProblem.

    If an object or a list may be missing or null, the values inside it may be missing, too. An item of a list may be
    missing when its index is `low=` of the list or higher. A value inside a secret object or list is secret.
    """
    optional = nullable = secret = False
    for place, name in enumerate(path):
        if field is None or field.kind is FieldKind.ANYTHING:
            return None
        optional, nullable = optional or field.optional, nullable or field.nullable
        secret = secret or field.secret
        if field.kind is FieldKind.OBJECT:
            if field.items is not None and name not in field.items:
                raise ReferenceProblem(f"{reference!r} names no field; {mend(name, field.items, 'add the field')}")
            field = field.items[name] if field.items is not None else None
        elif field.kind is FieldKind.LIST:
            if name == EVERY:
                item = field.item or Field(kind=FieldKind.OBJECT, items=field.items)
                below = field_below(item, path[place + 1 :], reference)
                below_item = path[place + 1 :]
                if below is not None and below.optional and below_item:
                    whole, instead = reference[: -len(".".join(below_item)) - 1], ".".join((ITEM, *below_item))
                    remedy = f"write each_item({whole!r}, maybe({instead!r}))"
                    raise ReferenceProblem(f"{reference!r} may be missing in an item; {remedy}")
                field = Field(kind=FieldKind.LIST, item=below or Field(kind=FieldKind.ANYTHING))
                break
            if not is_index(name):
                mended = f"write the number of an item, such as 0, or '{EVERY}' for all of them"
                raise ReferenceProblem(f"{reference!r} names {name!r} of a list; {mended}")
            optional = optional or int(name) >= field.low
            field = field.item or Field(kind=FieldKind.OBJECT, items=field.items)
        else:
            without = f"of a value of type {field.kind}, which has no fields; name the value itself"
            raise ReferenceProblem(f"{reference!r} names {name!r} {without}")
    if field is None:
        return None
    return replace(field, optional=optional or field.optional or nullable, secret=secret or field.secret)
