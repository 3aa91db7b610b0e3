"""The checks of `when=`: what a condition compares, and references to the replies of steps that may be skipped."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from machines.accepting import NotAcceptedError, accept
from machines.call import Call
from machines.check_references import value_problems
from machines.check_scope import DEEP, NUMBERS, ReferenceProblem, Scope, field_of, named, type_of
from machines.check_templates import template_problems
from machines.check_types import misused, shown
from machines.condition_logic import example, implies
from machines.conditions import (
    JOINING,
    ORDERED,
    Condition,
    constant_of,
    guarded,
    is_present,
    negated,
)  # fmt: skip
from machines.conditions import shown as in_words
from machines.deciding import as_moment
from machines.fields import Field, FieldKind
from machines.references import ITEM, SAGA, split
from machines.step import Step
from machines.table import Table
from machines.templates import Function, Value, described, references
from machines.words import Misused

_DEEPEST = 20  # largest number of conditions, one inside the other
_MOMENTS = (FieldKind.DATE, FieldKind.DATETIME)


def when_value_problems(when: object, depth: int = _DEEPEST) -> Iterator[str]:
    """Yield a problem for each value of a condition with a wrong type."""
    if isinstance(when, Misused):
        yield from misused("when", when)
    elif not isinstance(when, Condition):
        yield f"when= is {shown(when)}, no condition; write is_true('field') or equal('field', 'CA')"
    elif depth == 0:
        yield f"when= is nested deeper than {_DEEPEST}; make it flatter"
    elif when.test in JOINING:
        if not when.arguments:
            yield f"{when.test}() joins no conditions; give it one"
        for each in when.arguments:
            yield from when_value_problems(each, depth - 1)
    else:
        yield from _comparison_problems(when)


def _comparison_problems(condition: Condition) -> Iterator[str]:
    value, *constants = condition.arguments
    test = condition.test
    if not isinstance(value, (str, Function, Misused)) or (test == "present" and not isinstance(value, str)):
        yield f"{test}() takes a reference, not {shown(value)}; write {test}('field'…)"
        return
    yield from template_problems(f"when: {test}()", value)
    if isinstance(value, Function) and value.name in ("maybe", "const", "each_item"):
        yield f"{test}() takes a reference or a value, and {value.name}() is none here; use fallback() or present()"
    if test == "one_of" and not constants:
        yield "one_of() has no constants; write one_of('field', 'CA', 'US')"
    for each in map(constant_of, constants):
        yield from _constant_problems(test, each)
    kinds = {_kind(each) for each in map(constant_of, constants)}
    if len(kinds) > 1:
        yield f"{test}() has constants of several types; give them one type"
    elif test == "between" and kinds <= {"number", "date", "date and time"}:
        low, high = (each if kinds == {"number"} else as_moment(each) for each in map(constant_of, constants))
        if low > high:
            yield f"between() has nothing between {in_words(constants[0])} and {in_words(constants[1])}; swap them"


def _kind(constant: Any) -> str:
    if isinstance(constant, bool):
        return "boolean"
    if isinstance(constant, (int, Decimal)):
        return "number"
    try:
        return "date and time" if type(as_moment(constant)).__name__ == "datetime" else "date"
    except (TypeError, ValueError):
        return "text"


def _constant_problems(test: str, constant: Any) -> Iterator[str]:
    if isinstance(constant, float):
        yield f"{test}() compares with {constant!r}, which is not exact; write Decimal('{constant}')"
    elif isinstance(constant, Decimal) and not constant.is_finite():
        yield f"{test}() compares with {constant}; give it a number"
    elif constant is None:
        yield f"{test}() compares with None; write not_(present('field'))"
    elif not isinstance(constant, (str, int, Decimal)):
        yield f"{test}() compares with {shown(constant)}; give it a text, a number, True or False"
    elif test in ORDERED and _kind(constant) in ("text", "boolean"):
        yield f"{test}() compares with {shown(constant)}; give it a number, or a date such as '2027-01-31'"


def when_problems(table: Table) -> Iterator[tuple[Step | None, str]]:
    """Yield a problem for each condition that compares what is unknown, missing, secret or of another type."""
    for number, step in enumerate(table.steps):
        if step.when is None:
            continue
        scope = Scope(table, step, table.steps[:number])
        if step.doing is None:
            yield step, "it has when= and no doing=; use read(), compensatable(), pivot() or retriable()"
        found = [
            problem
            for comparison, value, context in guarded(step.when)
            for problem in _problems(scope, comparison, value, context)
        ]
        yield from ((step, f"when: {problem}") for problem in found or _constant_conditions(scope, step.when))


def _constant_conditions(scope: Scope, when: Condition) -> Iterator[str]:
    """Yield a problem for a condition that never holds, or always."""
    types = types_of(scope, [when])
    try:
        if example([when], [], types) is None:
            yield f"{when} never holds, so the step is never done; mend the condition"
        elif example([], [when], types) is None:
            yield f"{when} always holds, so the step is never skipped; drop when="
    except OverflowError:
        return


def _problems(scope: Scope, comparison: Condition, value: Value, context: tuple[Condition, ...]) -> Iterator[str]:
    """Yield the problems of one comparison. context: the conditions that hold where it is looked at."""
    for reference in references(value):
        if split(reference)[0] in (SAGA, ITEM) and split(reference)[0] not in scope.table.data:
            yield f"{reference!r} is no value of data and of no reply; name one of those"
            return
    if found := list(_value_problems(scope, comparison, value, context)):
        yield from found
        return
    field = type_of(scope, value)
    for one in comparison.arguments[1:]:
        if isinstance(one, str) and one in scope.table.data and one not in (field.choices if field else ()):
            yield f"{one!r} is a field of data, and {comparison.test}() compares with a constant; write const({one!r})"
    if any(each.secret for each in _fields(scope, value)):
        yield f"{described(value)} is secret, and the journal shows what a condition saw; compare another field"
    if field is not None and comparison.test != "present":
        yield from _type_problems(comparison, described(value), field)


def _value_problems(scope: Scope, comparison: Condition, value: Value, context: tuple[Condition, ...]) -> Iterator[str]:
    """Yield a problem for a value that is unknown, or that may be missing."""
    if not isinstance(value, str):
        yield from value_problems(scope, value)
        return
    try:
        field = field_of(scope, value)
    except ReferenceProblem as problem:
        yield str(problem)
        return
    may_lack = field is not None and (field.optional or field.nullable)
    if may_lack and comparison.test != "present" and not is_present(value, context):
        guards = f"fallback({value!r}, …), or all_of(present({value!r}), …) around it"
        yield f"{value!r} may be missing; write {guards}"


def _fields(scope: Scope, value: Value) -> Iterator[Field]:
    for reference in references(value):
        try:
            if (field := field_of(scope, reference)) is not None:
                yield field
        except ReferenceProblem:
            continue


def _type_problems(comparison: Condition, value: str, field: Field) -> Iterator[str]:
    test, constants = comparison.test, [*map(constant_of, comparison.arguments[1:])]
    if field.kind is FieldKind.ANYTHING:
        return
    if field.kind in DEEP:
        yield f"{value!r} is {DEEP[field.kind]}, which {test}() does not take; name a field of one value"
        return
    if test == "is_true" and field.kind is not FieldKind.BOOLEAN:
        yield f"{value!r} is {named(field)}, and is_true() takes a boolean; use equal()"
    takes = field.kind in NUMBERS or field.kind in _MOMENTS
    if test in ORDERED and not takes:
        yield f"{value!r} is {named(field)}, which has no order; use equal() or one_of()"
        return
    for constant in constants:
        if field.kind in NUMBERS and _kind(constant) != "number":
            number = f"Decimal({constant!r})" if _is_written_number(constant) else "a number"
            yield f"{value!r} is {named(field)}, and {test}() compares it with {shown(constant)}; write {number}"
            continue
        try:
            accept(replace(field, nullable=False), constant)
        except NotAcceptedError as error:
            yield f"{test}() compares {value!r} with a constant that {error.problem}; mend the constant"


def _is_written_number(constant: object) -> bool:
    return isinstance(constant, str) and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", constant) is not None


def skip_problems(table: Table) -> Iterator[tuple[Step | None, str]]:
    """Yield a problem for each reference to the reply of a step that may be skipped while the reference is needed."""
    if not any(step.when for step in table.steps):
        return
    for number, step in enumerate(table.steps):
        scope = Scope(table, step, table.steps[:number])
        own = (step.when,) if step.when else ()
        needed = [*_of_condition(step)]
        needed += [(each, own) for call in step.calls for each in _values_of(call)]
        if step.waits is not None and step.waits.until is not None:
            needed.append((step.waits.until, own))
        found = (problem for value, context in needed for problem in _skipped(scope, value, context))
        yield from ((step, problem) for problem in dict.fromkeys(found))


def skipped_replies(scope: Scope, call: Call) -> Iterator[str]:
    """Yield a problem for each reference of a call that is sent under no condition, as `skip_problems` does."""
    found = (problem for value in _values_of(call) for problem in _skipped(scope, value, ()))
    yield from dict.fromkeys(found)


def _values_of(call: Call) -> list[Value]:
    return [*call.path_references, call.body, dict(call.query), dict(call.headers)]


def _of_condition(step: Step) -> Iterator[tuple[Value, tuple[Condition, ...]]]:
    for comparison, value, context in guarded(step.when) if step.when else ():
        if comparison.test != "present":
            yield value, context


def _skipped(scope: Scope, value: Value, context: tuple[Condition, ...]) -> Iterator[str]:
    """Yield a problem for each needed reference of a value. context: the conditions that hold when it is needed."""
    if isinstance(value, Function):
        yield from _skipped_in(scope, value, context)
    elif isinstance(value, str):
        step = _skippable(scope, value)
        if step is not None and not _is_done(scope, step, context):
            mended = f"write fallback({value!r}, …), or give this step a when= that includes that condition"
            yield f"{value!r} may be missing: step {step.name} is skipped unless {step.when}; {mended}"
    for each in value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ():
        yield from _skipped(scope, each, context)


def _skipped_in(scope: Scope, function: Function, context: tuple[Condition, ...]) -> Iterator[str]:
    arguments = function.arguments
    if function.name in ("const", "maybe"):
        return
    if function.name == "total":
        arguments = (arguments[0].rpartition(".")[0],)
    elif function.name == "fallback":
        step, field = _skippable(scope, arguments[0]), type_of(scope, arguments[0])
        if step is not None and step.when is not None and not (field and (field.optional or field.nullable)):
            context = (*context, negated(step.when))  # the other value is needed only where this step was skipped
        arguments = arguments[1:]
    for each in arguments:
        yield from _skipped(scope, each, context)


def _skippable(scope: Scope, reference: str) -> Step | None:
    """Return the earlier step with a condition whose reply a reference names; None: there is none."""
    root = split(reference)[0]
    return next((step for step in scope.earlier if step.name == root and step.when is not None), None)


def _is_done(scope: Scope, step: Step, context: Sequence[Condition]) -> bool:
    """Return True when it is proved that the step was not skipped where the conditions hold."""
    assert step.when is not None
    if any(each.test == "present" and split(each.arguments[0])[0] == step.name for each in context):
        return True
    return implies(context, step.when, types_of(scope, [*context, step.when]))


def types_of(scope: Scope, conditions: Sequence[Condition]) -> dict[str, Field | None]:
    """Return the type of each value that the conditions compare; None: not known."""
    every = replace(scope, earlier=scope.table.steps)
    values = [value for each in conditions for _, value, _context in guarded(each)]
    return {described(value): _known_type(every, value) for value in values}


def _known_type(scope: Scope, value: Value) -> Field | None:
    field = type_of(scope, value)
    if field is None or field.kind is FieldKind.ANYTHING:
        return None
    may_lack = isinstance(value, str) and _skippable(scope, value) is not None
    return replace(field, optional=True) if may_lack else field
